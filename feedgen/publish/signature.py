"""The ``.minisig`` of a package: the stored one as long as it is good, otherwise a new one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from feedgen import minisign
from feedgen.errors import PublishError, SigningError
from feedgen.keys import KeyRing
from feedgen.publish.site import MINISIGN_FILE
from feedgen.publish.store import Store

__all__ = ["minisign_public", "new_signature", "stored_signature"]


def stored_signature(store: Store, tag: str, name: str, package: Path, site: Path) -> bytes | None:
    """The stored signature called ``name`` if it verifies ``package``: a new one would differ in its time only."""
    if store.find(tag, name) is None:
        return None
    try:
        data = store.read(tag, name)
        minisign.verify(package, data.decode(), (site / MINISIGN_FILE).read_text(encoding="ascii"))
    except (SigningError, UnicodeDecodeError, FileNotFoundError):
        return None
    return data


def new_signature(package: Path, ring: KeyRing, *, file_name: str, now: datetime) -> bytes:
    """A signature of ``package``, which people download as ``file_name``. Raises ``SigningError``."""
    private = ring.private_key("minisign")
    return minisign.sign(package, private, file_name=file_name, timestamp=int(now.timestamp())).encode()


def minisign_public(site: Path, ring: KeyRing) -> str:
    """The text of the public key at hand; ``PublishError`` when it is not the published one."""
    private = ring.private_key("minisign")
    text = minisign.public_key_text(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    path = site / MINISIGN_FILE
    if path.is_file() and path.read_text(encoding="ascii", errors="replace") != text:
        raise PublishError(
            f"{path} is not the public part of your 'minisign' key",
            hint="Is this the site, and are these the keys, of this app? People verify downloads with that file.",
        )
    return text
