"""Detached signatures that the stock ``minisign`` verifies, for people who download by hand.

Format: https://jedisct1.github.io/minisign/ (prehashed, ``ED``): Ed25519 over the BLAKE2b-512 of the file, and a global
signature over that signature and the trusted comment. Ed25519 is deterministic, so equal input gives equal text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from feedgen.errors import SigningError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["key_id", "public_key_text", "sign", "verify"]

_KEY_ALGORITHM, _PREHASHED = b"Ed", b"ED"
_TRUSTED = "trusted comment: "
_UNTRUSTED = "untrusted comment: "


def key_id(public: bytes) -> bytes:
    """The 8 bytes by which minisign matches keys and signatures; here the start of the key's SHA-256."""
    return hashlib.sha256(public).digest()[:8]


def public_key_text(public: bytes) -> str:
    """The ``minisign.pub`` file of a raw Ed25519 public key (32 bytes). Raises SigningError for another length."""
    if len(public) != 32:
        raise SigningError(f"An Ed25519 public key has 32 bytes, not {len(public)}.")
    shown = key_id(public)[::-1].hex().upper()
    return f"{_UNTRUSTED}minisign public key {shown}\n{_encode(_KEY_ALGORITHM + key_id(public) + public)}\n"


def sign(data: bytes | Path, private_key: Ed25519PrivateKey, *, file_name: str, timestamp: int) -> str:
    """The ``.minisig`` text of ``data`` (bytes, or a file that is streamed).

    ``timestamp`` (seconds since 1970) and ``file_name`` stand in the trusted comment, which is signed too.
    Raises SigningError when the name holds a control character.
    """
    if not file_name.isprintable() or not file_name:
        raise SigningError(f"{file_name!r} cannot stand in a signature's comment.", hint="Use a plain file name.")
    public = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    comment = f"timestamp:{timestamp}\tfile:{file_name}\thashed"
    signature = private_key.sign(_hash(data))
    whole = private_key.sign(signature + comment.encode())
    return (
        f"{_UNTRUSTED}verify with minisign.pub of the site that the feed comes from\n"
        f"{_encode(_PREHASHED + key_id(public) + signature)}\n{_TRUSTED}{comment}\n{_encode(whole)}\n"
    )


def verify(data: bytes | Path, signature_text: str, public_key: str) -> str:
    """Check a signature against the text of a ``minisign.pub``; returns the trusted comment. Raises SigningError."""
    key_lines, lines = public_key.split("\n"), signature_text.split("\n")
    if len(key_lines) < 2 or len(lines) < 4 or not lines[2].startswith(_TRUSTED):
        raise SigningError("This is not a minisign signature and public key.")
    key, signature, whole = _decode(key_lines[1], 42), _decode(lines[1], 74), _decode(lines[3], 64)
    if key[:2] != _KEY_ALGORITHM or signature[:2] != _PREHASHED:
        raise SigningError("Only Ed25519 keys and prehashed (ED) signatures are supported.")
    if key[2:10] != signature[2:10]:
        raise SigningError("The signature was made with another key.")
    comment = lines[2].removeprefix(_TRUSTED)
    public = Ed25519PublicKey.from_public_bytes(key[10:])
    try:
        public.verify(signature[10:], _hash(data))
        public.verify(whole, signature[10:] + comment.encode())
    except InvalidSignature as error:
        raise SigningError("The signature does not match: the file or the comment was changed.") from error
    return comment


def _hash(data: bytes | Path) -> bytes:
    if isinstance(data, Path):
        with data.open("rb") as file:
            return hashlib.file_digest(file, hashlib.blake2b).digest()
    return hashlib.blake2b(data).digest()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str, length: int) -> bytes:
    try:
        data = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SigningError("The signature or key is not base64.") from error
    if len(data) != length:
        raise SigningError(f"The signature or key has {len(data)} bytes where {length} belong.")
    return data
