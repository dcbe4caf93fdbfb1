"""Reading all files of decisions at once, with every mistake in one error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from feedgen.errors import ConfigError
from feedgen.operations.state import ReleaseState
from feedgen.operations.state_file import read_state
from updater.errors import ConfigError as InvalidFileError
from updater.schema.text import check_version

__all__ = ["Pending", "read_pending"]


@dataclass(frozen=True)
class Pending:
    """The files about published releases by version, and remarks on the others, as sentences."""

    files: Mapping[str, ReleaseState]
    remarks: tuple[str, ...]


def read_pending(folder: Path, channels: Mapping[str, str]) -> Pending:
    """Read every file in ``folder``. ``channels``: the published releases, and the most settled channel of each.

    Raises ``ConfigError`` with the mistakes of all files.
    """
    files: dict[str, ReleaseState] = {}
    remarks: list[str] = []
    mistakes: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        version = path.name.removesuffix(".toml")
        try:
            check_version(version)
            text = path.read_text(encoding="utf-8")
            state = read_state(text, str(path), version, published_in=channels.get(version))
        except (InvalidFileError, ValueError) as error:
            mistakes.append(f"{path}: {error}" if isinstance(error, ValueError) else str(error))
            continue
        if version in channels:
            files[version] = state
        else:
            remarks.append(f"{path.name} is about a release that is not published yet: it counts from then on.")
    if mistakes:
        raise ConfigError(
            "\n".join(mistakes),
            hint="Correct the files; docs/formats.md, section 8.1, lists every key. Nothing changed.",
        )
    return Pending(files, tuple(remarks))
