"""The files of a release: what they are called, and where the feed says they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from feedgen.build import index_name, package_name
from feedgen.publish.store import Store
from updater.schema import Delta, PublisherConfig, Release

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Where the files of the release ``version`` lie: in the store, under ``tag``, and in every mirror."""

    config: PublisherConfig
    store: Store
    tag: str
    version: str

    @property
    def package(self) -> str:
        """The package's name."""
        return package_name(self.config.app, self.config.component, self.version)

    @property
    def signature(self) -> str:
        """The name of its signature."""
        return f"{self.package}.minisig"

    @property
    def index(self) -> str:
        """The name of its index."""
        return index_name(self.config.app, self.config.component, self.version)

    def delta(self, from_version: str) -> str:
        """The name of the delta from another release (docs/formats.md section 12)."""
        return f"{self.package.removesuffix(f'{self.version}.zip')}{from_version}-{self.version}.delta"

    def urls(self, name: str) -> tuple[str, ...]:
        """How a feed refers to a file: in the store first, then in the mirrors."""
        return (self.store.url(self.tag, name), *(mirror + name for mirror in self.config.mirrors))

    def located(self, release: Release) -> Release:
        """``release`` with its package where the store has it; index and deltas as well, if they are there."""
        index = release.package.index
        if index is not None and self._has(self.index, index.size):
            index = replace(index, urls=self.urls(self.index))
        deltas = tuple(self._located(delta) for delta in release.deltas)
        package = replace(release.package, urls=self.urls(self.package), index=index)
        return replace(release, package=package, deltas=deltas)

    def _located(self, delta: Delta) -> Delta:
        name = self.delta(delta.from_version)
        return replace(delta, urls=self.urls(name)) if self._has(name, delta.size) else delta

    def _has(self, name: str, size: int) -> bool:
        found = self.store.find(self.tag, name)
        return found is not None and found.public and found.size == size
