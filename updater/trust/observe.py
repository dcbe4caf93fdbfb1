"""What the metadata that python-tuf has just verified says: versions, expiry dates, online keys. Imports ``tuf``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from updater.errors import UpdaterError
from updater.frozen import frozen
from updater.trust.translate import translated
from updater.trust.tuf_api import Metadata

__all__ = ["Observed", "metadata_is_whole", "observe"]


@frozen
class Observed:
    """Per role: ``versions``, and ``expires`` in UTC. ``online_keys``: key ids of snapshot and timestamp."""

    versions: Mapping[str, int]
    expires: Mapping[str, datetime]
    online_keys: tuple[str, ...]


def observe(metadata_dir: Path, channel: str) -> Observed:
    """Read the metadata of ``channel`` and the roles above it, after a successful refresh. ``StateError`` etc."""
    signed: dict[str, Any] = {}
    with translated("Local update metadata", directory=metadata_dir):
        for role in ("root", "timestamp", "snapshot", "targets", channel):
            signed[role] = Metadata[Any].from_bytes((metadata_dir / f"{role}.json").read_bytes()).signed
    root = signed["root"]
    keys = sorted({key for role in ("snapshot", "timestamp") for key in root.roles[role].keyids})
    return Observed(
        versions={role: item.version for role, item in signed.items()},
        expires={role: item.expires.replace(tzinfo=UTC) for role, item in signed.items()},
        online_keys=tuple(keys),
    )


def metadata_is_whole(metadata_dir: Path) -> bool:
    """Whether the files that guard against older metadata can be parsed: timestamp and snapshot."""
    try:
        with translated("Local update metadata"):
            for role in ("timestamp", "snapshot"):
                Metadata[Any].from_bytes((metadata_dir / f"{role}.json").read_bytes())
    except UpdaterError:
        return False
    return True
