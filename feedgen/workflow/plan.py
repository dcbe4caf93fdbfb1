"""Which keys a run needs, and whether the builds agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.version import InvalidVersion, Version

from feedgen.errors import BuildError, ConfigError, NotReproducibleError
from feedgen.publish.catalog import Catalog
from feedgen.publish.store import sha256_of
from feedgen.repository.roles import CHANNELS
from updater.schema import channel_of

__all__ = ["ENVIRONMENTS", "ONLINE_ENVIRONMENT", "agreed_package", "environment_of", "operation_environment"]

STABLE_ENVIRONMENT, PRE_ENVIRONMENT, ONLINE_ENVIRONMENT = "release-stable", "release-pre", "feed-online"

ENVIRONMENTS: Mapping[str, tuple[str, ...]] = {
    STABLE_ENVIRONMENT: ("stable", "beta", "alpha", "online", "minisign"),
    PRE_ENVIRONMENT: ("beta", "alpha", "online", "minisign"),
    ONLINE_ENVIRONMENT: ("online",),
}
"""The keys in each GitHub environment. A release of one channel is listed in those below it too, and each feed changes
snapshot and timestamp, so every environment holds the online key."""


def environment_of(channel: str) -> str:
    """The environment that can publish on ``channel``."""
    return STABLE_ENVIRONMENT if channel == "stable" else PRE_ENVIRONMENT


def operation_environment(catalog: Catalog, version: str, channel: str) -> str:
    """The environment for a change of ``version`` (as the catalog lists it) that ends in ``channel``, if that is given.

    Without a version, or for one that no feed knows, the operation may touch any feed. Raises ``ConfigError``.
    """
    if channel and channel not in CHANNELS:
        raise ConfigError(f"{channel!r} is not a channel", hint=f"Choose {', '.join(CHANNELS)}.")
    if not version:
        return environment_of(channel or "stable")
    try:
        normal = str(Version(version.removeprefix("v")))
    except InvalidVersion as error:
        raise ConfigError(f"{version!r} is not a version", hint="Write it as the feed does: 1.4.0, 1.4.0b2.") from error
    listed = catalog.channels(normal)
    touched = [*listed, *([channel] if channel else []), *([] if listed else [channel_of(normal)])]
    return environment_of("stable" if "stable" in touched else "beta")


def agreed_package(folders: Iterable[Path]) -> Path:
    """The one package that every build made. Raises ``NotReproducibleError`` when they differ, ``BuildError``."""
    found = sorted(path for folder in folders for path in folder.rglob("*.zip"))
    if not found:
        raise BuildError("No build made a package", hint="Look at the build jobs of this run.")
    digests = {path: sha256_of(path) for path in found}
    if len(set(digests.values())) > 1 or len({path.name for path in found}) > 1:
        raise NotReproducibleError(
            "The builds of one tag differ, so none of them is published",
            problems=[f"{digest}  {path}" for path, digest in digests.items()],
            hint="A build command that depends on its machine or on the clock is the usual cause. Build on one runner"
            " only, or make the command reproducible.",
        )
    return found[0]
