"""The pin in feedgen.toml: whoever can write to the site's folder must not make us sign on top of a root of theirs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from feedgen.errors import SigningError
from updater.trust.names import metadata_file

__all__ = ["check_first_root"]


def check_first_root(site: Path, sha256: str | None) -> None:
    """Raise ``SigningError`` when ``site`` begins with another root than the one pinned; no pin, no check."""
    path = site / metadata_file("root", 1)
    if sha256 is None or not path.is_file():
        return
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SigningError(
            f"{path} has the SHA-256 {found}, but feedgen.toml pins {sha256} ([publish] root_sha256)",
            hint="Somebody exchanged the site's root of trust, or this is the site of another app. Nothing was signed."
            " Restore the folder from a copy that you trust.",
        )
