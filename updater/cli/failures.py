"""The one place where errors become "what, why, next step" and an exit code (standard library only)."""

from __future__ import annotations

import errno
import sys
import traceback
from types import TracebackType

from updater.cli.console import Console
from updater.cli.exits import Exit, exit_code
from updater.errors import BlockedError, CommandError, UpdaterError

__all__ = ["DEBUG_VARIABLE", "Failures"]

DEBUG_VARIABLE = "UPDATER_DEBUG"
_LAST_LINES = 15
_REPORT = (
    "Please report it to the Tagship project, with what the same command prints when the environment has "
    f"{DEBUG_VARIABLE}=1. The site itself can always go back: `updater recover`, `updater rollback`."
)


class Failures:
    """A context manager that catches everything, tells it, and keeps the exit ``code``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.code = int(Exit.DONE)

    def __enter__(self) -> Failures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return True
        if isinstance(error, SystemExit):
            self.code = error.code if isinstance(error.code, int) else int(Exit.FAILED)
            return True
        if self._console.environ.get(DEBUG_VARIABLE):
            self._console.write_err("".join(traceback.format_exception(error)))
        what, why, hint = _explain(error)
        self.code = int(exit_code(error))
        self._console.error("error", what)
        if why:
            self._console.error("why", why)
        if hint:
            self._console.error("next", hint)
        if self._console.json:
            told = {"code": self.code, "kind": type(error).__name__, "message": what, "why": why, "hint": hint}
            self._console.document({"schema": "1.0", "error": told})
        return True


def _explain(error: BaseException) -> tuple[str, str, str]:
    """What happened, why, and what to do next; the last two may be empty."""
    if isinstance(error, UpdaterError):
        return str(error) or type(error).__name__, _why(error), error.hint
    if isinstance(error, KeyboardInterrupt):
        return (
            "Interrupted.",
            "",
            "Whatever had begun is finished or undone at the next start of any command; `updater recover` does it now.",
        )
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("updater"):
        return (
            f"The Python package {error.name!r} is missing.",
            "",
            "Install Tagship again (pip install --force-reinstall tagship). "
            "rollback, recover, verify, status, history and backup work without it.",
        )
    if isinstance(error, OSError):
        return _explain_os_error(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory.", "", "Free some, or try again when less is running."
    what = f"This is a bug in updater: {type(error).__name__}: {error}"
    return what, _place(error), _REPORT


def _why(error: UpdaterError) -> str:
    """What the message does not say yet: reasons, or the end of a failed program's output."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:  # causes may form a circle
        seen.add(id(cause))
        if isinstance(cause, CommandError) and cause.output:
            return "\n".join(cause.output.splitlines()[-_LAST_LINES:])
        cause = cause.__cause__
    if isinstance(error, BlockedError):
        return "\n".join(reason for reason in error.reasons if reason not in str(error))
    return ""


def _explain_os_error(error: OSError) -> tuple[str, str, str]:
    place = f"{error.filename}: " if error.filename is not None else ""
    hints = {
        errno.ENOSPC: "Free some space on that disk, then run the command again.",
        errno.EDQUOT: "The quota of this user is used up; free some space.",
        errno.EROFS: "That filesystem is mounted read-only.",
        errno.EACCES: "Run the command as the user who owns the site.",
        errno.EPERM: "Run the command as the user who owns the site.",
    }
    default = "Check that the path exists and that this user may use it; `updater doctor` looks at all of them."
    return f"{place}{error.strerror or error}", "", hints.get(error.errno or 0, default)


def _place(error: BaseException) -> str:
    """Where a bug showed itself: file and line, without a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return (
        f"Python {sys.version.split()[0]}, {'/'.join(last.filename.split('/')[-3:])} line {last.lineno}, in {last.name}"
    )
