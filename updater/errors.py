"""Every error the client raises, in one tree (standard library only: recovery must be able to import it).

    UpdaterError
    |- ConfigError               wrong local settings (updater.toml, a bad argument)
    |- StateError                our own files cannot be read or written
    |  `- LockedError            another update is running on this site
    |- DownloadError             transport; may be retried
    |  |- DownloadHTTPError      the server answered with an error status
    |  |- DownloadTooLargeError  more bytes than the signed length
    |  |- DownloadTruncatedError fewer bytes than the signed length
    |  |- DownloadTimeoutError   deadline passed, or slower than the minimum rate
    |  `- RangesIgnoredError     a part was asked for, and the server sends whole files only
    |- FeedError                 what was served is not acceptable; retrying does not help
    |  |- SchemaError            a document breaks its format; lists every problem
    |  |  `- UnsupportedSchemaError  written by a newer major version of the format
    |  |- SignatureError         not signed by the keys that must have signed it
    |  |- ExpiredError           signed, but past its expiry
    |  |- DowngradeError         older than what this site has already seen
    |  |- TargetMismatchError    bytes differ from the signed size or digest
    |  `- UnsafeArchiveError     a package that a correct publisher cannot have made
    |- BlockedError              policy or a requirement forbids the update
    |  `- UpToDateError          there is nothing to do, and nothing wrong
    `- InstallError              an install, rollback or recovery step failed
       |- PreflightError         refused before anything was changed
       |  `- DiskSpaceError
       |- CommandError           a configured or manifest command failed
       |- DatabaseError          a database backup or restore failed
       |- HealthCheckError       the new version did not come up
       |- RolledBackError        the update failed and the old version is back
       |- ProbationError         committed, then failed with traffic on: a person has to decide
       `- RollbackError          the way back failed: needs a person

Every error says what happened (``str(error)``), and ``hint`` says what to do next. Both can be shown on a terminal as
they are: they quote what came from outside, so control characters in them are escaped and their length is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from updater.frozen import frozen

__all__ = [
    "BlockedError",
    "CommandError",
    "ConfigError",
    "DatabaseError",
    "DiskSpaceError",
    "DowngradeError",
    "DownloadError",
    "DownloadHTTPError",
    "DownloadTimeoutError",
    "DownloadTooLargeError",
    "DownloadTruncatedError",
    "ExpiredError",
    "FeedError",
    "HealthCheckError",
    "InstallError",
    "LockedError",
    "PreflightError",
    "ProbationError",
    "Problem",
    "RangesIgnoredError",
    "RollbackError",
    "RolledBackError",
    "SchemaError",
    "SignatureError",
    "StateError",
    "TargetMismatchError",
    "UnsafeArchiveError",
    "UnsupportedSchemaError",
    "UpToDateError",
    "UpdaterError",
    "printable",
    "problem_list",
    "shortened",
]

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but newline and tab, those that change the direction of text, and what is half a character."""

_LONGEST_MESSAGE = 16_000
_MOST_PROBLEMS = 100
_LONGEST_PROBLEM = 500


def printable(text: str) -> str:
    """``text`` without the power to move a cursor, to colour, or to reorder what is read; what is taken shows as an
    escape."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters of ``text``, and a sign that there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


@frozen
class Problem:
    """One thing that is wrong in a document: where (a JSON path such as ``$.releases[0].version``) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def _bounded(text: str) -> str:
    """A message without the middle of a very long one: a program's output says at its end why it failed."""
    half = _LONGEST_MESSAGE // 2
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:half]}\n…\n{text[-half:]}"


class UpdaterError(Exception):
    """Base of every error the client raises. ``hint`` is the next step, as a sentence; empty when there is none."""

    hint: str

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(printable(_bounded(message)))
        self.hint = printable(_bounded(hint))


class ConfigError(UpdaterError):
    """Local settings are wrong."""


class StateError(UpdaterError):
    """The site's own state cannot be read or written."""


class LockedError(StateError):
    """Another process holds the site's update lock."""


class DownloadError(UpdaterError):
    """A transfer failed; trying again later may help."""

    def __init__(self, message: str, *, url: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.url = url


class DownloadHTTPError(DownloadError):
    """The server answered with ``status`` (an HTTP status code) instead of the file.

    ``retry_after``: seconds that it asks to be left alone, counted from the answer; None when it does not say.
    """

    def __init__(
        self, message: str, *, status: int, url: str = "", hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, url=url, hint=hint)
        self.status = status
        self.retry_after = retry_after


class DownloadTooLargeError(DownloadError):
    """The server sent more bytes than the signed length allows."""


class DownloadTruncatedError(DownloadError):
    """The transfer ended before the signed length was reached."""


class DownloadTimeoutError(DownloadError):
    """The total deadline passed, or the transfer fell below the minimum rate."""


class RangesIgnoredError(DownloadError):
    """The server was asked for a part of a file, and sends whole files only."""


class FeedError(UpdaterError):
    """What was served is not acceptable; do not retry."""


def problem_list(document: str, problems: Sequence[str]) -> str:
    """The message about a document with these problems: one line each, as many and as much of each as people read."""
    count = len(problems)
    lines = [shortened(problem, _LONGEST_PROBLEM) for problem in problems[:_MOST_PROBLEMS]]
    if count > len(lines):
        lines.append(f"… and {count - len(lines)} more")
    return f"{document} has {count} problem{'s' if count != 1 else ''}:" + "".join(f"\n  {line}" for line in lines)


class SchemaError(FeedError):
    """A document breaks its format. ``problems`` lists every finding, not only the first."""

    def __init__(self, document: str, problems: Sequence[Problem], *, hint: str = "") -> None:
        self.document = document
        self.problems = tuple(problems)
        super().__init__(problem_list(document, [str(problem) for problem in self.problems]), hint=hint)


class UnsupportedSchemaError(SchemaError):
    """The document was written by a newer major version of its format than this client reads."""


class SignatureError(FeedError):
    """Metadata lacks the signatures its role requires."""


class ExpiredError(FeedError):
    """Metadata is validly signed but past its expiry."""


class DowngradeError(FeedError):
    """Metadata or a feed is older than what this site has already accepted."""


class TargetMismatchError(FeedError):
    """Bytes differ from the signed size or digest."""


class UnsafeArchiveError(FeedError):
    """A package holds something that no correct publisher writes; it is refused as a whole."""


class BlockedError(UpdaterError):
    """Policy or an unmet requirement forbids the update. ``reasons`` says why, one sentence each."""

    def __init__(self, message: str, *, reasons: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = tuple(reasons)


class UpToDateError(BlockedError):
    """Nothing newer is offered, or what was asked for is installed already."""


class InstallError(UpdaterError):
    """A step of an install, rollback or recovery failed."""


class PreflightError(InstallError):
    """The update was refused before anything on the site was changed."""


class DiskSpaceError(PreflightError):
    """Not enough free space (sizes in bytes)."""

    def __init__(self, message: str, *, needed: int, available: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needed = needed
        self.available = available


class CommandError(InstallError):
    """A command failed. ``output`` is the end of what it printed."""

    def __init__(self, message: str, *, output: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = output


class DatabaseError(InstallError):
    """A database backup or restore failed."""


class HealthCheckError(InstallError):
    """The running app did not answer as the expected version in time."""


class RolledBackError(InstallError):
    """The update failed and was undone: files and database are those of the old version again."""


class ProbationError(InstallError):
    """The new version is installed and committed, but failed in its probation and stays: a person has to decide."""


class RollbackError(InstallError):
    """The way back failed; everything is kept and a person has to look."""
