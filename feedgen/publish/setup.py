"""The start of an app's life: its keys, its first metadata, an empty site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from feedgen import minisign
from feedgen.errors import ConfigError
from feedgen.keys import KeyRing, check_keys_directory, check_passphrase, named, write_key
from feedgen.publish.site import static_files
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.create import FirstKeys, create
from feedgen.repository.roles import CHANNELS
from updater.trust import fingerprint
from updater.trust.names import METADATA_DIRECTORY, ROOT_FILE, metadata_file

__all__ = ["FirstSite", "check_can_start", "key_names", "start"]


@dataclass(frozen=True)
class FirstSite:
    """What was made: the key files in order, and the fingerprint (SHA-256, hex) of the first root."""

    keys: tuple[Path, ...]
    fingerprint: str


def key_names(*, solo: bool) -> tuple[str, ...]:
    """The keys of a new app: root keys first."""
    return (*_root_names(solo=solo), *CHANNELS, "online", "minisign")


def _root_names(*, solo: bool) -> tuple[str, ...]:
    return ("root-1", "root-2") if solo else ("root-1", "root-2", "root-3")


def check_can_start(keys: Path, site: Path, *, solo: bool) -> None:
    """Raise ``ConfigError`` when something is there that would be overwritten, or keys must not lie in ``keys``."""
    check_keys_directory(keys)
    if (site / METADATA_DIRECTORY).exists() or (site / ROOT_FILE).exists():
        raise ConfigError(
            f"{site} already holds a published site",
            hint="Nothing was changed. 'feedgen root show' prints its keys; 'feedgen publish TAG' adds a release.",
        )
    present = [name for name in key_names(solo=solo) if (keys / f"{name}.pem").exists()]
    if present:
        raise ConfigError(
            f"{keys} already holds keys ({', '.join(present)}), and keys are never overwritten",
            hint="If this app was published before, restore its site folder instead of starting anew: installed sites"
            " would refuse a second beginning. If an earlier init was interrupted and nothing was published, remove"
            " that folder and run init again.",
        )


def start(keys: Path, site: Path, passphrase: str, *, solo: bool, now: datetime) -> FirstSite:
    """Make keys and the site. Raises ``ConfigError`` (see ``check_can_start``, ``check_passphrase``), ``OSError``."""
    check_passphrase(passphrase)
    with site_lock(site):
        check_can_start(keys, site, solo=solo)
        private = {name: Ed25519PrivateKey.generate() for name in key_names(solo=solo)}
        files = tuple(write_key(keys, name, key, passphrase) for name, key in private.items())
        public = {name: named(key.public_key(), name) for name, key in private.items()}
        first = FirstKeys(
            root=[public[name] for name in _root_names(solo=solo)],
            root_threshold=1 if solo else 2,
            channels={channel: public[channel] for channel in CHANNELS},
            online=public["online"],
        )
        writes = create(first, KeyRing(keys, lambda _what: passphrase, _no_environment()), now)
        raw = private["minisign"].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        SiteWriter(site).put([*static_files(minisign.public_key_text(raw)), *writes])
    root = next(write.data for write in writes if write.path == metadata_file("root", 1))
    return FirstSite(files, fingerprint(root))


def _no_environment() -> Mapping[str, str]:
    """New metadata is signed by the new keys, whatever the environment holds of another app."""
    return {}
