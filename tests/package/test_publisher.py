"""The publisher's packages, read by the client: two implementations of docs/formats.md section 3 check each other."""

from __future__ import annotations

import io
from pathlib import Path

from feedgen.build.zip_writer import Member, write_package
from tests.support.packages import RELEASED, Symlink, make_package
from updater.package import PackageReader, read_tail
from updater.schema.manifest import MANIFEST_NAME

FILES: dict[str, bytes | Symlink] = {
    "app/main.py": b"print('hello')\n" * 500,
    "app/empty.py": b"",
    "bin/run": b"#!/bin/sh\n" * 20,
    "data.bin": bytes((i * i) % 251 for i in range(5000)),
    "docs/latest": Symlink("1.1"),
    "docs/1.1/ü.txt": "grüße".encode(),
}


def test_the_publisher_s_packages_are_accepted(tmp_path: Path) -> None:
    built = make_package(FILES, executable=["bin/run"])
    path = tmp_path / "shop-1.0.0.zip"
    with PackageReader.open(
        io.BytesIO(built.package),
        manifest_sha256=built.manifest_sha256,
        manifest_size=len(built.manifest_bytes),
        name="p",
    ) as package:
        data = {name: package.read(name) for name in built.manifest.files}
    members = [
        Member(name, data[name], file.mode or 0o644, symlink=file.symlink is not None)
        for name, file in built.manifest.files.items()
    ]
    layout = write_package(path, [*members, Member(MANIFEST_NAME, built.manifest_bytes)], date=RELEASED)
    with path.open("rb") as file:
        package = PackageReader.open(
            file, manifest_sha256=built.manifest_sha256, manifest_size=len(built.manifest_bytes), name=path.name
        )
        package.verify()
        assert {name: package.read(name) for name in built.manifest.files} == data
        assert package.read_symlink("docs/latest") == "1.1"
    tail = read_tail(
        path.read_bytes()[layout.tail_offset :],
        layout.tail_offset,
        manifest_sha256=built.manifest_sha256,
        manifest_size=len(built.manifest_bytes),
    )
    assert tail.manifest == built.manifest
    assert layout.tail_offset + layout.tail_size == layout.size == path.stat().st_size
