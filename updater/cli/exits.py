"""Exit codes: the interface to cron, systemd, Ansible and shell scripts (docs/exit-codes.md; standard library only)."""

from __future__ import annotations

from enum import IntEnum

from updater.errors import (
    BlockedError,
    ConfigError,
    DownloadError,
    FeedError,
    LockedError,
    ProbationError,
    RollbackError,
    RolledBackError,
)

__all__ = ["Exit", "exit_code"]


class Exit(IntEnum):
    """Every code the command line ends with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    ROLLED_BACK = 3
    NEEDS_HUMAN = 4
    LOCKED = 5
    BLOCKED = 6
    NETWORK = 7
    VERIFICATION = 8
    UPDATE_AVAILABLE = 100
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What it tells, in a few words."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.DONE: "done, or nothing to do",
    Exit.FAILED: "failed; nothing was changed",
    Exit.USAGE: "wrong arguments or settings",
    Exit.ROLLED_BACK: "failed; rolled back to the old version",
    Exit.NEEDS_HUMAN: "a person has to look: the way back failed too, or is not the updater's to take",
    Exit.LOCKED: "another updater is at work on this site",
    Exit.BLOCKED: "blocked by policy or a requirement",
    Exit.NETWORK: "the network or the server failed; try again later",
    Exit.VERIFICATION: "verification failed: something is not what was signed",
    Exit.UPDATE_AVAILABLE: "with check --exit-code: an update waits",
    Exit.INTERRUPTED: "interrupted; what had begun was undone, or is at the next start",
}

_CODES: tuple[tuple[type[BaseException], Exit], ...] = (
    (KeyboardInterrupt, Exit.INTERRUPTED),
    (RollbackError, Exit.NEEDS_HUMAN),
    (ProbationError, Exit.NEEDS_HUMAN),
    (RolledBackError, Exit.ROLLED_BACK),
    (LockedError, Exit.LOCKED),
    (BlockedError, Exit.BLOCKED),
    (DownloadError, Exit.NETWORK),
    (FeedError, Exit.VERIFICATION),
    (ConfigError, Exit.USAGE),
)


def exit_code(error: BaseException) -> Exit:
    """The code for an error; everything without one of its own is "failed; nothing was changed"."""
    if isinstance(error, RolledBackError) and isinstance(error.__cause__, KeyboardInterrupt):
        return Exit.INTERRUPTED  # the owner's own wish, and it was undone
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)
