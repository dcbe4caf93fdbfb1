"""Private keys: Ed25519, one encrypted PKCS#8 PEM file each, or one environment variable each in CI."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from feedgen.config import git_work_tree
from feedgen.errors import ConfigError, KeyNotFoundError, SigningError, ThresholdError
from feedgen.repository.tuf_api import CryptoSigner, Key, SSlibKey

__all__ = [
    "MIN_PASSPHRASE",
    "NAME_FIELD",
    "KeyRing",
    "PassphraseSource",
    "check_keys_directory",
    "check_passphrase",
    "key_name",
    "load_public_key",
    "named",
    "read_private_key",
    "write_key",
]

MIN_PASSPHRASE = 12
"""Characters. OpenSSL's PBKDF2 defaults guard the file, so the passphrase has to carry the weight."""

NAME_FIELD = "x-tagship-name"
"""Member of a key in root and targets metadata: the name of its file, so that it can be asked for by name."""

PassphraseSource = Callable[[str], str]
"""Asks for the passphrase of what is named; called only when an encrypted key has to be opened."""


def named(public: Ed25519PublicKey, name: str) -> SSlibKey:
    """The key as metadata lists it, with its name."""
    key: SSlibKey = SSlibKey.from_crypto(public)
    key.unrecognized_fields[NAME_FIELD] = name
    return key


def key_name(key: Key) -> str:
    """What a key is called in messages and on disk; the start of its id when it has no proper name."""
    name = key.unrecognized_fields.get(NAME_FIELD)
    return name if isinstance(name, str) and re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) else key.keyid[:8]


def check_passphrase(passphrase: str) -> None:
    """Raise ``ConfigError`` when a passphrase is empty or short."""
    if len(passphrase.strip()) < MIN_PASSPHRASE:
        what = f"has only {len(passphrase.strip())} characters" if passphrase.strip() else "is empty"
        raise ConfigError(
            f"The passphrase {what}; at least {MIN_PASSPHRASE} are needed",
            hint="Four or five unrelated words make a good one. Without it the keys are of no use, so store it safely.",
        )


def check_keys_directory(directory: Path) -> None:
    """Raise ``ConfigError`` when keys must not be put there: a git work tree could carry them to a server."""
    work_tree = git_work_tree(directory)
    if work_tree is not None:
        raise ConfigError(
            f"The keys must not lie in {directory}: it belongs to the git work tree {work_tree},"
            " from where a commit could publish them",
            hint="Leave --keys out to use the default, or name a folder outside of every repository.",
        )


def write_key(directory: Path, name: str, private: Ed25519PrivateKey, passphrase: str) -> Path:
    """Put a new key file there (mode 0600). Raises ``ConfigError`` when the file exists: keys are never replaced."""
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    check_keys_directory(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{name}.pem"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"The key file {path} exists already", hint="Keys are never overwritten.") from error
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return path


def load_public_key(path: Path) -> Ed25519PublicKey:
    """A public key from a PEM file (``openssl pkey -pubout``). Raises ``SigningError``, ``OSError``."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise SigningError(
            f"{path} is not a public key in PEM format", hint="It begins with BEGIN PUBLIC KEY."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningError(f"{path} is not an Ed25519 key", hint="Only Ed25519 keys are used.")
    return key


def read_private_key(pem: bytes, what: str, passphrase: Callable[[], str]) -> Ed25519PrivateKey:
    """Open a PEM key. ``what`` names it in errors; ``passphrase`` is asked only when the key is encrypted.

    Raises ``SigningError``.
    """
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        try:
            key = load_pem_private_key(pem, passphrase().encode())
        except ValueError as error:
            raise SigningError(
                f"The passphrase does not open {what}",
                hint="Try again; FEEDGEN_PASSPHRASE is used when it is set. If it is right, the file is damaged:"
                " restore it from your backup.",
            ) from error
    except ValueError as error:
        raise SigningError(
            f"{what} is not a private key in PEM format",
            hint="Restore it from your backup. A secret in CI must hold the whole file, with its BEGIN and END lines.",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(f"{what} is not an Ed25519 key", hint="Only Ed25519 keys are used.")
    return key


class KeyRing:
    """The private keys at hand, opened when they are first needed.

    A key called ``stable`` is taken from the environment variable ``FEEDGEN_KEY_STABLE`` (PEM text) or the file
    ``stable.pem`` in ``directory``. A key made by a rotation is called ``stable-2``; in the environment it may keep
    the variable of its predecessor.
    """

    def __init__(self, directory: Path, passphrase: PassphraseSource, environ: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._ask = passphrase
        self._environ = os.environ if environ is None else environ
        self._passphrases: list[str] = []
        self._opened: dict[str, Ed25519PrivateKey] = {}

    def open_key(self, pem: bytes, what: str) -> Ed25519PrivateKey:
        """Open a PEM key: with a passphrase that opened another key, or else with one that is asked for.

        Raises ``SigningError``.
        """
        for known in self._passphrases:
            with suppress(SigningError):
                return read_private_key(pem, what, partial(str, known))
        asked: list[str] = []

        def ask() -> str:
            asked.append(self._ask(what))
            return asked[-1]

        key = read_private_key(pem, what, ask)
        self._passphrases += asked
        return key

    def has(self, key: Key) -> bool:
        """Whether something by that key's name is at hand, without opening it."""
        return bool(self._sources(key_name(key)))

    def private_key(self, name: str) -> Ed25519PrivateKey:
        """The key of that name. Raises ``KeyNotFoundError``, ``SigningError``."""
        sources = self._sources(name)
        if not sources:
            raise self._missing(name)
        return self._open(*sources[0])

    def signer(self, key: Key) -> CryptoSigner:
        """A signer for exactly this key. Raises ``KeyNotFoundError``, ``SigningError``."""
        name = key_name(key)
        sources = self._sources(name)
        if not sources:
            raise self._missing(name)
        for what, pem in sources:
            private = self._open(what, pem)
            public = named(private.public_key(), name)
            if public.keyid == key.keyid:
                return CryptoSigner(private, public)
        raise SigningError(
            f"{sources[0][0]} holds another key than the one that this site trusts under the name {name!r}",
            hint="Look at 'feedgen root show'. Is this the keys directory of this app, and of this site?",
        )

    def available(self, keys: Sequence[Key]) -> list[Key]:
        """Those of ``keys`` that are at hand."""
        return [key for key in keys if self.has(key)]

    def signers(self, role: str, keys: Sequence[Key], threshold: int) -> list[CryptoSigner]:
        """Signers for a role, all that are at hand. Raises ``KeyNotFoundError``, ``ThresholdError`` for too few."""
        found = self.available(keys)
        if len(found) < threshold:
            missing = [key for key in keys if key not in found]
            if threshold == 1 or not found:
                raise self._missing(key_name(missing[0]), role)
            names = ", ".join(key_name(key) for key in missing)
            raise ThresholdError(
                f"{role} needs {threshold} signatures, and only {len(found)} of its keys are at hand; missing: {names}",
                hint=f"Put a missing key file into {self.directory}, or sign on its owner's machine.",
            )
        return [self.signer(key) for key in found]

    def _missing(self, name: str, role: str = "") -> KeyNotFoundError:
        needed = f", which {role} is signed with," if role and role != name else ""
        return KeyNotFoundError(
            f"The key {name!r}{needed} is not at hand: there is neither {self.directory / name}.pem nor the"
            f" environment variable {_variable(name)}",
            hint="Name the folder that holds the keys with --keys, or restore the key from your backup.",
        )

    def _sources(self, name: str) -> list[tuple[str, bytes]]:
        found = []
        for variable in dict.fromkeys((_variable(name), _variable(re.sub(r"-\d+$", "", name)))):
            if self._environ.get(variable):
                found.append((f"the environment variable {variable}", self._environ[variable].encode()))
        path = self.directory / f"{name}.pem"
        if path.is_file():
            found.append((str(path), path.read_bytes()))
        return found

    def _open(self, what: str, pem: bytes) -> Ed25519PrivateKey:
        if what not in self._opened:
            self._opened[what] = self.open_key(pem, what)
        return self._opened[what]


def _variable(name: str) -> str:
    return "FEEDGEN_KEY_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
