"""The first root: where trust in a feed begins. ``tuf`` is imported on use."""

from __future__ import annotations

import hashlib
import re

from updater.errors import ConfigError, DownloadHTTPError, SignatureError
from updater.transport import Transport
from updater.transport.urls import shown
from updater.trust.names import FeedLocation, metadata_file
from updater.trust.translate import translated

__all__ = ["fingerprint", "obtain_root", "validate_root"]

MAX_ROOT_BYTES = 512_000
MAX_ROOT_VERSION = 256


def fingerprint(root: bytes) -> str:
    """SHA-256 of the root file's bytes, as 64 hex digits: what people compare."""
    return hashlib.sha256(root).hexdigest()


def validate_root(root: bytes) -> int:
    """Check that ``root`` is TUF root metadata signed by a threshold of its own keys; returns its version.

    Says nothing about whose root it is. An old, expired root is fine: it leads to the newest. Raises
    ``SchemaError``, ``SignatureError`` or another ``FeedError``.
    """
    with translated("The root of trust"):
        from updater.trust.tuf_api import Metadata, Root

        metadata = Metadata[Root].from_bytes(root)
        if not isinstance(metadata.signed, Root):
            raise TypeError(f"it is {metadata.signed.type} metadata")
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
        return metadata.signed.version


def obtain_root(
    location: FeedLocation,
    transport: Transport,
    *,
    root: bytes | None = None,
    sha256: str | None = None,
) -> bytes:
    """The bytes of the root to trust, validated.

    ``root``: the file's bytes, from wherever the site owner got them; nothing is downloaded. ``sha256``: its
    fingerprint; the newest root is tried, then versions 1, 2, ... of the published ones. With both, they must
    match. With neither, the newest root is trusted on first use: callers show its fingerprint.

    Raises ``SignatureError`` when no published root has the fingerprint, ``ConfigError`` when it is no
    fingerprint, otherwise as ``validate_root`` and ``Transport.open``.
    """
    wanted = None if sha256 is None else _normal(sha256)
    if root is None:
        root = _newest(location, transport) if wanted is None else _published(location, transport, wanted)
    elif wanted is not None and fingerprint(root) != wanted:
        raise _mismatch("the root file that was given", wanted, fingerprint(root))
    validate_root(root)
    return root


def _normal(sha256: str) -> str:
    digits = re.sub(r"[\s:]", "", sha256.lower()).removeprefix("sha256")
    if re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise ConfigError(
            f"{sha256!r} is not a fingerprint", hint="A root fingerprint has 64 hexadecimal digits (SHA-256)."
        )
    return digits


def _newest(location: FeedLocation, transport: Transport) -> bytes:
    return _read(transport, location.root_url)


def _published(location: FeedLocation, transport: Transport, wanted: str) -> bytes:
    """The published root with this fingerprint: usually the newest, so that is looked at first."""
    seen: list[str] = []
    urls = [location.root_url]
    urls += [location.base_url + metadata_file("root", number) for number in range(1, MAX_ROOT_VERSION + 1)]
    for url in urls:
        try:
            data = _read(transport, url)
        except DownloadHTTPError as error:
            if error.status not in (403, 404):
                raise
            if url == location.root_url:
                continue
            break
        found = fingerprint(data)
        if found == wanted:
            return data
        seen.append(found)
    if not seen:
        raise DownloadHTTPError(
            f"There is no root of trust at {shown(location.base_url)}",
            status=404,
            url=shown(location.root_url),
            hint="Check the feed address; ask the publisher whether the feed is signed.",
        )
    raise _mismatch(f"the newest root at {shown(location.base_url)}", wanted, seen[0])


def _read(transport: Transport, url: str) -> bytes:
    with transport.open(url, max_bytes=MAX_ROOT_BYTES) as response:
        return b"".join(response.chunks)


def _mismatch(what: str, wanted: str, found: str) -> SignatureError:
    return SignatureError(
        f"The root of trust is not the expected one: expected fingerprint {wanted}, but {what} has {found}",
        hint="Compare the fingerprint with the one the publisher shows in another place. Do not continue until it is"
        " clear why they differ.",
    )
