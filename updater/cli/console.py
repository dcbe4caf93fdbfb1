"""The terminal: results on standard output, everything else on standard error, questions (standard library only).

Nothing that is written to standard error can fail: an update must not be undone because nobody reads its progress.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from updater.errors import printable

__all__ = ["Console"]

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def _use(stream: TextIO | None) -> TextIO | None:
    """A stream on which characters that it cannot show are written as escapes instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


@dataclass
class Console:
    """Where the command line writes and asks. ``json``: standard output carries one document and nothing else.

    ``level``: -1 quiet, 0 normal, 1 verbose.
    """

    level: int = 0
    json: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def __post_init__(self) -> None:
        self._out, self._err = _use(sys.stdout), _use(sys.stderr)
        self.live = _is_terminal(self._err) and self.environ.get("TERM") != "dumb"
        """Whether standard error is a terminal on which a line can be rewritten."""
        self._colour_out, self._colour_err = self._wants_colour(self._out), self._wants_colour(self._err)
        self.interactive = _is_terminal(sys.stdin) and _is_terminal(self._err)

    def _wants_colour(self, stream: TextIO | None) -> bool:
        return _is_terminal(stream) and not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"

    # standard output

    def show(self, text: str = "", style: str = "") -> None:
        """A line of the result that was asked for."""
        if not self.json:
            self._write_out(_styled(printable(text), style if self._colour_out else "") + "\n")

    def say(self, text: str = "", style: str = "") -> None:
        """A line of explanation, left out when quiet."""
        if self.level >= 0:
            self.show(text, style)

    def document(self, value: Mapping[str, Any]) -> None:
        """The one document of ``--json``."""
        self._write_out(json.dumps(value, indent=2, ensure_ascii=True, default=str) + "\n")

    def _write_out(self, text: str) -> None:
        if self._out is None:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:  # the reader has seen enough
            self._silence_out()
        except OSError:
            self._silence_out()
            raise

    def _silence_out(self) -> None:
        """Nobody reads: the interpreter must not trip over it when it flushes at exit."""
        self._out = None
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (OSError, ValueError, AttributeError):
            pass

    # standard error

    def note(self, text: str, style: str = "") -> None:
        """A line of progress."""
        if self.level >= 0:
            self.write_err(_styled(printable(text), style if self._colour_err else "") + "\n")

    def warn(self, text: str) -> None:
        """Something that needs attention and stops nothing."""
        self.write_err(_styled("warning:", "yellow" if self._colour_err else "") + f" {printable(text)}\n")

    def error(self, label: str, text: str) -> None:
        """A line of an error message, its label in colour."""
        style = ("red" if label == "error" else "bold") if self._colour_err else ""
        indented = printable(text).replace("\n", "\n       ")
        self.write_err(_styled(f"{label}:".ljust(6), style) + f" {indented}\n")

    def write_err(self, text: str) -> None:
        """Raw text; failures are ignored on purpose."""
        if self._err is None:
            return
        try:
            self._err.write(text)
            self._err.flush()
        except (OSError, ValueError):
            self._err = None

    # standard input

    def ask(self, question: str) -> bool:
        """Whether a person on the terminal says yes. Anything else is a no."""
        self.write_err(f"{printable(question)} [y/N] ")
        try:
            answer = sys.stdin.readline()
        except (OSError, ValueError):  # closed, or not text
            answer = ""
        if not answer.endswith("\n"):
            self.write_err("\n")
        return answer.strip().lower() in ("y", "yes")


def _styled(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style else text
