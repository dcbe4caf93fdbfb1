"""What ``publish``, ``refresh``, ``root`` and ``verify`` share: reading a site that is still a folder."""

from __future__ import annotations

from pathlib import Path

from feedgen.publish.store import LocalStore
from feedgen.verify import MappedTransport
from updater.schema import PublisherConfig
from updater.transport import DirectoryTransport, Transport

__all__ = ["local_transport"]


def local_transport(
    config: PublisherConfig, site: Path, store: LocalStore | None, otherwise: Transport | None = None
) -> MappedTransport:
    """A transport that answers for the site's URL from its folder, and for the store's from the store's."""
    routes: list[tuple[str, Transport]] = [(config.base_url, DirectoryTransport(config.base_url, site))]
    if store is not None and "://" in store.base:
        routes.append((store.base, DirectoryTransport(store.base, store.folder)))
    return MappedTransport(routes, otherwise)
