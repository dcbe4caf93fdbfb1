"""What ``publish``, ``refresh``, ``root`` and ``verify`` share: looking at a site that is still a folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from feedgen.cli.console import now, step
from feedgen.errors import SelfCheckError
from feedgen.publish.store import Store
from feedgen.verify import MappedTransport, Report, SiteCheck
from updater.schema import PublisherConfig
from updater.transport import DirectoryTransport, Transport

__all__ = ["local_transport", "self_check"]

_NONE = "none"  # no version is called that


def self_check(
    config: PublisherConfig,
    site: Path,
    store: Store | None = None,
    *,
    only: str = _NONE,
    deltas: bool = True,
    proven: Collection[str] = (),
) -> Report:
    """Look at what was just written as a client: every feed, and the package of version ``only``.

    With ``deltas``, its index and deltas as well; those with the digests ``proven`` are not applied again. Mirrors are
    not looked at: they are behind.

    Raises ``SelfCheckError`` with everything that is wrong.
    """
    step("Checking the site as a client")
    transport = local_transport(config, site, store)
    check = SiteCheck(
        config.base_url, transport, now=now(), app=config.app, mirrors=False, deltas=deltas, proven=proven
    )
    report = check.run(only=only)
    if not report.good:
        raise SelfCheckError(
            "What was written does not verify as a client sees it:"
            + "".join(f"\n  {finding.where}: {finding.message}" for finding in report.findings),
            hint="Do not upload the site. Restore it from the copy that you published, then run the command again.",
        )
    return report


def local_transport(
    config: PublisherConfig, site: Path, store: Store | None, otherwise: Transport | None = None
) -> MappedTransport:
    """A transport that answers for the site's URL from its folder, and for the store's from the store's."""
    routes: list[tuple[str, Transport]] = [(config.base_url, DirectoryTransport(config.base_url, site))]
    if store is not None:
        routes += store.routes()
    return MappedTransport(routes, otherwise)
