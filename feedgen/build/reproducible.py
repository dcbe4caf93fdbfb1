"""Building twice, to prove that a tag gives the same bytes."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from feedgen.build.builder import BuiltRelease, build_release
from feedgen.build.command import COMMAND_TIMEOUT
from feedgen.errors import NotReproducibleError
from updater.schema.manifest import MANIFEST_NAME
from updater.schema.publisher_config import PublisherConfig

__all__ = ["build_checked"]


def build_checked(
    repo: Path, tag: str, output: Path, config: PublisherConfig, *, command_timeout: float = COMMAND_TIMEOUT
) -> BuiltRelease:
    """Like `build_release`, but build twice and put a package into ``output`` only when both are equal.

    Raises NotReproducibleError that names the members that differ, and what `build_release` raises.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".check-") as name:
        first, second = (
            build_release(repo, tag, Path(name, side), config, command_timeout=command_timeout) for side in "ab"
        )
        if first.sha256 != second.sha256 or _index(first) != _index(second):
            raise NotReproducibleError(
                f"Two builds of {tag} differ:",
                problems=_differences(first.package_path, second.package_path),
                hint="Look for times, random names or unsorted listings in the build command; "
                "SOURCE_DATE_EPOCH holds the time to use.",
            )
        place = output / first.package_path.name
        os.replace(first.package_path, place)
        index = first.index
        if index is not None:
            index = replace(index, path=output / index.path.name)
            os.replace(first.package_path.with_name(index.path.name), index.path)
    return replace(first, package_path=place, index=index)


def _index(built: BuiltRelease) -> bytes:
    return built.index.path.read_bytes() if built.index else b""


def _differences(first: Path, second: Path) -> list[str]:
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        ours = {info.filename: (info.CRC, info.file_size, info.external_attr) for info in one.infolist()}
        theirs = {info.filename: (info.CRC, info.file_size, info.external_attr) for info in other.infolist()}
    found = sorted(path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path) and path != MANIFEST_NAME)
    return found or ["the order or the compression of the members"]
