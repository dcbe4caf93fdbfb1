"""What is decided about a release when it is first published, and the file that records it (section 8.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from feedgen.errors import ConfigError
from feedgen.operations.state import ReleaseState, state_of
from feedgen.operations.state_file import read_state, state_path, state_text
from feedgen.publish.writer import SiteWriter
from feedgen.repository.compose import Write
from updater.schema import CHANNELS, Notes, Release, Requires, channel_of

__all__ = ["FirstDecisions", "PublishOptions", "read_decisions", "record"]


@dataclass(frozen=True)
class PublishOptions:
    """What may be different about one publish.

    ``package``: a package built elsewhere. ``tagged``: there is a git tag. ``notes``: instead of the changelog's; a
    function is asked when they are needed. ``channel``: list the release there and in less settled feeds only.
    ``jumps``: the maintainer says that no stop is needed where migrations are gone. ``container``: the release as an
    image, by digest.
    ``notes`` and ``channel`` matter for a release that is not published yet; afterwards each has an operation of its
    own.
    """

    package: Path | None = None
    tagged: bool = True
    notes: str | Callable[[], str] | None = None
    channel: str | None = None
    jumps: bool = False
    container: str | None = None


class FirstDecisions:
    """The decisions about ``version``: those that are ``published``; else those of a file prepared by hand, of the
    options, or the usual ones."""

    def __init__(self, site: Path, version: str, published: ReleaseState | None, options: PublishOptions) -> None:
        """Raises ``ConfigError`` when the channel is too settled or not the prepared one, or the file has mistakes."""
        self._published = published
        self._notes = options.notes
        self._prepared = None if published else read_decisions(site, version)
        if published is None:
            self.channel = self._first_channel(version, options.channel)
        else:
            self.channel = published.channel

    def _first_channel(self, version: str, channel: str | None) -> str:
        usual = channel_of(version)
        wanted = channel or usual
        if CHANNELS.index(wanted) < CHANNELS.index(usual):
            raise ConfigError(
                f"{version} is a release of the {usual} channel, and {wanted} is more settled",
                hint=f"Publish it, try it, then: feedgen promote {version} --to {wanted}",
            )
        if self._prepared and channel not in (None, self._prepared.channel):
            raise ConfigError(
                f"{state_path(version)} in the site says {self._prepared.channel}, and --channel {channel}",
                hint="Leave the option out, or change the file.",
            )
        return self._prepared.channel if self._prepared else wanted

    def about(self, release: Release) -> ReleaseState:
        """The decisions; notes and requirements that a prepared file does not mention come from the release."""
        if self._published is not None:
            return self._published
        usual = state_of(release, self.channel)
        state = self._prepared or usual
        notes = state.notes if state.notes != Notes() else usual.notes
        if self._notes is not None:
            notes = replace(notes, markdown=self._notes if isinstance(self._notes, str) else self._notes())
        requires = state.requires if state.requires != Requires() else usual.requires
        return replace(state, notes=notes, requires=requires)


def read_decisions(site: Path, version: str, *, published_in: str | None = None) -> ReleaseState | None:
    """The file about a release; None when there is none. Raises ``updater.errors.ConfigError``."""
    path = site / state_path(version)
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", hint="Save the file in UTF-8.") from error
    return read_state(text, str(path), version, published_in=published_in)


def record(writer: SiteWriter, version: str, state: ReleaseState) -> list[str]:
    """Write the file about a release unless it says the same already; returns what was written."""
    if read_decisions(writer.site, version) == state:
        return []
    return writer.put([Write(state_path(version), state_text(version, state).encode())])
