"""What a private feed's servers are told, host by host: a 0600 file of the site, and the environment.

``.updater/credentials.toml`` has a table for each host (``acme.example``, or ``acme.example:8443``); a variable
``UPDATER_TOKEN_ACME_EXAMPLE`` is a bearer token for that host, and wins. Secrets are sent to their host alone, over
https or to this machine, never to where it redirects (`HTTPTransport`), and stand in no message. Standard library only.
"""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from updater.errors import ConfigError
from updater.frozen import frozen
from updater.schema.toml import read_toml
from updater.site.files import write_atomic
from updater.site.reading import read_file
from updater.transport.urls import origin

__all__ = ["CREDENTIALS_NAME", "Credential", "Credentials", "check_host", "read_credentials", "write_credentials"]

CREDENTIALS_NAME = "credentials.toml"
_VARIABLE = "UPDATER_TOKEN_"
_MOST = 1 << 20
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_DEFAULT_PORT = 443


@frozen
class Credential:
    """One host's: a ``header``'s value, a ``user``'s password, or else a bearer token."""

    secret: str
    user: str = ""
    header: str = ""

    def __post_init__(self) -> None:
        if not self.secret or not self.secret.isprintable() or not self.secret.isascii():
            raise ValueError("the secret must be printable ASCII, and not empty")
        if self.user and self.header:
            raise ValueError("is for a user or for a header, not both")
        if self.header and not _HEADER.fullmatch(self.header):
            raise ValueError(f"{self.header[:40]!r} cannot be the name of a header")
        if ":" in self.user or not self.user.isprintable():
            raise ValueError("the user's name holds a colon or a control character")

    def __repr__(self) -> str:
        return f"Credential({self.kind})"

    @property
    def kind(self) -> str:
        """What it is, without the secret."""
        if self.header:
            return f"header {self.header}"
        return f"user {self.user}" if self.user else "bearer token"

    def headers(self) -> dict[str, str]:
        """What is sent."""
        if self.header:
            return {self.header: self.secret}
        if self.user:
            words = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
            return {"Authorization": f"Basic {words}"}
        return {"Authorization": f"Bearer {self.secret}"}


@frozen
class Credentials:
    """By host. ``tokens`` are those of the environment."""

    hosts: Mapping[str, Credential]
    tokens: Mapping[str, str]

    def headers_for(self, url: str) -> dict[str, str]:
        """The headers that belong to the host of ``url``; none for another."""
        try:
            _, host, port = origin(url)
        except ValueError:
            return {}
        name = host if port == _DEFAULT_PORT else f"{host}:{port}"
        token = self.tokens.get(_variable(name))
        found = Credential(token) if token else self.hosts.get(name)
        headers = {} if found is None else found.headers()
        if host == "api.github.com" and "/releases/assets/" in urlsplit(url).path:
            headers["Accept"] = "application/octet-stream"  # else GitHub answers with a description of the asset
        return headers


def check_host(text: str) -> str:
    """The host as it is kept. Raises ValueError when it is none."""
    host = text.lower()
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text[:80]!r} is no host, such as downloads.acme.example or acme.example:8443")
    return host


def read_credentials(directory: Path, environ: Mapping[str, str]) -> Credentials:
    """Those of a site's state directory, and of the environment. Raises ConfigError for a file that others may read, or
    that makes no sense."""
    tokens = {name: value for name, value in environ.items() if name.startswith(_VARIABLE) and value}
    path = directory / CREDENTIALS_NAME
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            raise ConfigError(f"{path} may be read by others.", hint=f"Run `chmod 600 {path}`, and change the secrets.")
        text = read_file(path, most=_MOST).decode()
    except FileNotFoundError:
        return Credentials({}, tokens)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="Remove it, and run `updater login HOST`.") from error
    return Credentials(dict(_parse(read_toml(text, str(path)), path)), tokens)


def write_credentials(directory: Path, hosts: Mapping[str, Credential]) -> None:
    """Replace the file; with no hosts, remove it. Raises OSError."""
    path = directory / CREDENTIALS_NAME
    if not hosts:
        path.unlink(missing_ok=True)
        return
    lines = ["# Written by `updater login`. Nobody else may read this file.\n"]
    for host, credential in sorted(hosts.items()):
        lines.append(f"\n[{_quoted(host)}]\n")
        values = {"user": credential.user, "header": credential.header, "secret": credential.secret}
        lines += [f"{key} = {_quoted(value)}\n" for key, value in values.items() if value]
    write_atomic(path, "".join(lines).encode())


def _parse(found: Mapping[str, Any], path: Path) -> list[tuple[str, Credential]]:
    rows = []
    for host, table in found.items():
        try:
            if not isinstance(table, dict) or not {"secret"} <= table.keys() <= {"secret", "user", "header"}:
                raise ValueError("needs a secret, and may have a user or a header")
            if not all(isinstance(value, str) for value in table.values()):
                raise ValueError("has a value that is no text")
            rows.append((check_host(host), Credential(**table)))
        except ValueError as error:
            raise ConfigError(f"{path}: {host[:80]!r} {error}", hint=f"Run `updater login {host[:80]}`.") from None
    return rows


def _variable(host: str) -> str:
    return _VARIABLE + re.sub(r"[^A-Z0-9]", "_", host.upper())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
