"""Licences of sites, and what a feed says of them (docs/formats.md section 2.3). Standard library only."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import field
from datetime import datetime
from typing import Any

from updater.frozen import frozen
from updater.schema.document import Extra, Reader, dump_json, format_time, parse_json
from updater.schema.text import CHANNELS, check_id, check_line, check_name

__all__ = ["License", "Licensing", "Sealed", "read_licensing", "to_sign"]

_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_PREFIX = b"tagship license 1\n"
"""What is signed begins with it, so that no signature for another purpose counts as one of a licence."""

_MOST_KEYS = 10
_MOST_REVOKED = 10_000


@frozen
class Licensing:
    """Who may have the releases of a feed: sites with a licence that one of ``keys`` (Ed25519, hex) has signed.

    ``grace_days``: so long after the end of a licence releases may still be had. ``revoked``: ids that count no more.
    ``message``: where to get one, in a line.
    """

    keys: tuple[str, ...]
    grace_days: int = 0
    revoked: tuple[str, ...] = ()
    message: str = ""
    extra: Extra = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the feed."""
        return {
            "keys": list(self.keys),
            "grace_days": self.grace_days,
            "revoked": list(self.revoked),
            "message": self.message,
            **self.extra,
        }


@frozen
class License:
    """What its holder may have: releases of ``app`` in these ``channels`` and ``components`` (empty: all), published
    before ``updates_until`` (UTC; None: for ever)."""

    id: str
    app: str
    holder: str
    issued: datetime
    updates_until: datetime | None = None
    channels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    schema: str = "1.0"
    extra: Extra = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, data: bytes, document: str = "licence") -> License:
        """Read and check one. Raises SchemaError (UnsupportedSchemaError for a newer major)."""
        reader = Reader(parse_json(data, document), document)
        found = cls(
            schema=reader.schema(),
            id=reader.text("id", check=check_id),
            app=reader.text("app", check=check_name),
            holder=reader.text("holder", check=check_line),
            issued=reader.time("issued"),
            updates_until=reader.optional_time("updates_until"),
            channels=reader.texts("channels", check=_check_channel),
            components=reader.texts("components", check=check_name),
            extra=reader.extra(),
        )
        reader.finish()
        return found

    def to_bytes(self) -> bytes:
        """The document, as it is signed."""
        until = self.updates_until
        return dump_json(
            {
                "schema": self.schema,
                "id": self.id,
                "app": self.app,
                "holder": self.holder,
                "issued": format_time(self.issued),
                "updates_until": None if until is None else format_time(until),
                "channels": list(self.channels),
                "components": list(self.components),
                **self.extra,
            }
        )


@frozen
class Sealed:
    """A licence with its signature: the file that a customer gets. ``payload`` is the licence's document byte for byte,
    so that nothing depends on how JSON is written."""

    payload: bytes
    signature: str

    @classmethod
    def parse(cls, data: bytes, document: str = "licence file") -> Sealed:
        """Read one; nothing of it is proven. Raises SchemaError (UnsupportedSchemaError for a newer major)."""
        reader = Reader(parse_json(data, document), document)
        reader.schema()
        payload = reader.text("license", check=_check_base64)
        found = cls(
            payload=b"" if reader.problems else base64.b64decode(payload),
            signature=reader.text("signature", check=_check_signature),
        )
        reader.extra()
        reader.finish()
        return found

    def to_bytes(self) -> bytes:
        """The file."""
        return dump_json(
            {"schema": "1.0", "license": base64.b64encode(self.payload).decode(), "signature": self.signature}
        )


def to_sign(payload: bytes) -> bytes:
    """The bytes that the signature of a licence's document is over."""
    return _PREFIX + payload


def read_licensing(reader: Reader) -> Licensing | None:
    """The ``licensing`` of a feed; None when everybody may have its releases."""
    child = reader.child("licensing", required=False)
    if child is None:
        return None
    found = Licensing(
        keys=child.texts("keys", check=_check_key, minimum=1),
        grace_days=child.integer("grace_days", default=0, maximum=3650),
        revoked=child.texts("revoked", check=check_id),
        message=child.text("message", default="", check=check_line, empty=True),
        extra=child.extra(),
    )
    for name, items, most in (("keys", found.keys, _MOST_KEYS), ("revoked", found.revoked, _MOST_REVOKED)):
        if len(items) > most:
            child.problem(name, f"are {len(items)}; at most {most} are read")
    return found


def _check_key(text: str) -> None:
    if not _KEY.fullmatch(text):
        raise ValueError("must be an Ed25519 public key: 64 lower-case hex digits")


def _check_signature(text: str) -> None:
    if not _SIGNATURE.fullmatch(text):
        raise ValueError("must be an Ed25519 signature: 128 lower-case hex digits")


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"is not base64: {error}") from None


def _check_channel(text: str) -> None:
    if text not in CHANNELS:
        raise ValueError(f"must be one of {', '.join(CHANNELS)}")
