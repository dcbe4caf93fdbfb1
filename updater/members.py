"""The components of a site as planning sees them: where each one's feed is, and what is installed of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace

from updater.frozen import frozen
from updater.grouping import Candidate, Member
from updater.schema.assembly import Parts
from updater.schema.feed import Release
from updater.schema.policy_config import OwnerPolicy
from updater.schema.site_config import SiteConfig
from updater.schema.text import CORE
from updater.site import SiteState
from updater.site.failed_releases import FailedReleases

__all__ = ["SiteMember", "as_member", "members_of"]


@frozen
class SiteMember:
    """One component. ``installed`` is None when it is not there; ``feed_url`` is None for one that is there although
    updater.toml does not name it; ``requires`` is what its installed release said of others. ``elsewhere``: the folder
    that updater.toml names, when it lies in another one."""

    name: str
    directory: str
    feed_url: str | None
    installed: str | None
    enabled: bool = True
    requires: Mapping[str, str] = field(default_factory=dict)
    pin: str = ""
    skip: tuple[str, ...] = ()
    elsewhere: str = ""

    @property
    def is_core(self) -> bool:
        return self.name == CORE

    def policy(self, owner: OwnerPolicy) -> OwnerPolicy:
        """The owner's policy for it: what is pinned and skipped is its own."""
        return owner if self.is_core else replace(owner, pin=self.pin, skip=self.skip)

    def of_its_own(self, texts: Collection[str]) -> frozenset[str]:
        """Versions out of lines such as ``1.4.0`` for the core and ``theme-dark 2.0.0`` for another component."""
        if self.is_core:
            return frozenset(texts)
        pairs = (text.split() for text in texts)
        return frozenset(pair[1] for pair in pairs if len(pair) == 2 and pair[0] == self.name)

    def failures(self, known: FailedReleases) -> FailedReleases:
        """Those of its own releases, by version."""
        if self.is_core:
            return known
        start = f"{self.name} "
        return {key.removeprefix(start): attempts for key, attempts in known.items() if key.startswith(start)}


def members_of(state: SiteState, config: SiteConfig, parts: Parts | None) -> list[SiteMember]:
    """The core, then every component that is installed or that updater.toml names, by name."""
    found = [SiteMember(CORE, "", config.feed_url, state.version)]
    installed = {} if parts is None else parts.components
    for name in sorted({*installed, *config.components}):
        part, wanted = installed.get(name), config.components.get(name)
        found.append(
            SiteMember(
                name=name,
                directory=part.directory if part is not None else wanted.directory if wanted is not None else name,
                feed_url=None if wanted is None else wanted.feed_url,
                installed=None if part is None else part.version,
                enabled=wanted is None or wanted.enabled,
                requires={} if part is None else part.requires,
                pin="" if wanted is None else wanted.pin,
                skip=() if wanted is None else wanted.skip,
                elsewhere=wanted.directory if wanted and part and wanted.directory != part.directory else "",
            )
        )
    return found


def as_member(member: SiteMember, listed: Sequence[Release], offers: Sequence[Release]) -> Member:
    """For `choose_together`. ``listed``: the releases of its feed, which may say more of the installed one."""
    now = next((release.requires.components for release in listed if release.version == member.installed), None)
    return Member(
        member.name,
        Candidate(member.installed, member.requires if now is None else now),
        tuple(Candidate(release.version, release.requires.components, new=True) for release in offers),
    )
