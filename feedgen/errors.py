"""Every error the publisher raises, in one tree (standard library only).

    FeedgenError
    |- ConfigError                wrong settings or arguments (feedgen.toml, a bad option)
    |- SourceError                the repository cannot be read as asked
    |  `- ReleaseNotFoundError    no such tag, or no such release
    |- BuildError                 the tree at the tag cannot become a package; lists every problem
    |  |- NotReproducibleError    two builds of one tag differ
    |  `- NoDeltaError            there can be no delta between two releases, or not within its limits
    |- SigningError               something could not be signed, or a signature is wrong
    |  |- KeyNotFoundError        a key that is needed is not there
    |  `- ThresholdError          fewer keys than the role requires
    `- PublishError               a release could not be made public
       |- FeedRegressionError     the new feed would take back what sites have already seen
       |- SelfCheckError          what was published does not verify with the client's own code
       `- StoreError              where packages are kept refused, failed or did not answer
          `- RateLimitError       it asks to wait longer than we would

Every error says what happened (``str(error)``), and ``hint`` says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BuildError",
    "ConfigError",
    "FeedRegressionError",
    "FeedgenError",
    "KeyNotFoundError",
    "NoDeltaError",
    "NotReproducibleError",
    "PublishError",
    "RateLimitError",
    "ReleaseNotFoundError",
    "SelfCheckError",
    "SigningError",
    "SourceError",
    "StoreError",
    "ThresholdError",
]


class FeedgenError(Exception):
    """Base of every error the publisher raises. ``hint`` is the next step, as a sentence; empty when there is none."""

    hint: str

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(FeedgenError):
    """Settings or arguments are wrong."""


class SourceError(FeedgenError):
    """The repository cannot be read as asked."""


class ReleaseNotFoundError(SourceError):
    """There is no such tag or release."""


class BuildError(FeedgenError):
    """A tree cannot become a package. ``problems`` lists every finding, not only the first."""

    def __init__(self, message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(message + "".join(f"\n  {problem}" for problem in self.problems), hint=hint)


class NotReproducibleError(BuildError):
    """Two builds of the same tag gave different bytes; ``problems`` names the members that differ."""


class NoDeltaError(BuildError):
    """No delta leads from one release to another within the given limits. Nothing is lost: sites take the package."""


class SigningError(FeedgenError):
    """Something could not be signed, or a signature is wrong."""


class KeyNotFoundError(SigningError):
    """A key that is needed is not there."""


class ThresholdError(SigningError):
    """Fewer keys are at hand than the role requires."""


class PublishError(FeedgenError):
    """A release could not be made public."""


class FeedRegressionError(PublishError):
    """The new feed would take back something that sites have already seen (a lower sequence, a lost release)."""


class SelfCheckError(PublishError):
    """What was published does not verify with the client's own code."""


class StoreError(PublishError):
    """Where packages are kept refused, failed or did not answer.

    ``status`` is that of HTTP, 0 when there was no answer; ``codes`` are the service's own words for what is wrong.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, codes: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = tuple(codes)


class RateLimitError(StoreError):
    """The service asks to wait longer than we would."""
