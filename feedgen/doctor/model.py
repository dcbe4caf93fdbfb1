"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level", "error", "ok", "skipped", "warning"]

Level = Literal["ok", "skipped", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """``subject``: what was looked at; ``message``: what was found; ``mend``: what to do, "" when nothing is."""

    level: Level
    subject: str
    message: str
    mend: str = ""


def ok(subject: str, message: str) -> Finding:
    """As it should be."""
    return Finding("ok", subject, message)


def skipped(subject: str, message: str, mend: str = "") -> Finding:
    """Could not be looked at from here."""
    return Finding("skipped", subject, message, mend)


def warning(subject: str, message: str, mend: str) -> Finding:
    """Will need somebody, or is weaker than it could be."""
    return Finding("warning", subject, message, mend)


def error(subject: str, message: str, mend: str) -> Finding:
    """Stops releases or refreshes, now or soon."""
    return Finding("error", subject, message, mend)
