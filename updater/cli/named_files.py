"""Files that are named on the command line (standard library only)."""

from __future__ import annotations

from pathlib import Path

from updater.errors import ConfigError

__all__ = ["read_named"]


def read_named(name: str, what: str, *, most: int, hint: str) -> bytes:
    """The bytes of a file, ``most`` at most. ``what`` it should be, as in "a licence". Raises ConfigError."""
    path = Path(name)
    if path.is_dir() or not path.exists():
        raise ConfigError(f"{name} is not a file.", hint=hint)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}", hint="Check who may read it.") from error
    if len(data) > most:
        raise ConfigError(f"{name} is too large to be {what}.", hint=hint)
    return data
