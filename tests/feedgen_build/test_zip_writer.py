"""write_package against an independent writer, the standard library's reader, and the format's limits."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import deflate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.build import compressor, zip_writer
from feedgen.build.zip_writer import Member, write_package
from feedgen.errors import BuildError
from tests.support import packages

DATE = datetime(2026, 1, 20, 10, 0, 3, tzinfo=UTC)


def write(path: Path, *members: Member, date: datetime = DATE) -> bytes:
    write_package(path, members, date=date)
    return path.read_bytes()


def test_the_structure_is_that_of_the_independent_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [
        Member("a", b"x" * 100),
        Member("b\u00e9/run", os.urandom(50), mode=0o755),
        Member("empty", b""),
        Member("link", b"a", symlink=True),
    ]
    monkeypatch.setattr(packages, "deflate", lambda data: bytes(deflate.deflate_compress(data, 12)))
    expected, offsets = packages.zip_bytes(
        [(member.path, member.unix_mode, member.data) for member in members], datetime(2026, 1, 20, 10, 0, 2)
    )
    layout = write_package(tmp_path / "p.zip", members, date=DATE)
    written = (tmp_path / "p.zip").read_bytes()
    assert written == expected
    assert (layout.size, layout.sha256) == (len(written), hashlib.sha256(written).hexdigest())
    assert (layout.tail_offset, layout.tail_size) == (offsets[-1], len(written) - offsets[-1])


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=20),
        st.tuples(st.binary(max_size=2000) | st.binary(max_size=9).map(lambda part: part * 999), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_any_content_comes_back(tree: dict[str, tuple[bytes, bool]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p.zip")
        written = write(path, *(Member(name, data, 0o755 if run else 0o644) for name, (data, run) in tree.items()))
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.namelist() == list(tree)
        for info in archive.infolist():
            data, run = tree[info.filename]
            assert archive.read(info) == data
            assert info.external_attr >> 16 == (0o100755 if run else 0o100644)
            assert info.compress_size <= info.file_size
            assert (info.compress_type == zipfile.ZIP_STORED) == (info.compress_size == info.file_size)


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), (1980, 1, 1, 0, 0, 0)),
        (datetime(2200, 1, 1, tzinfo=UTC), (2107, 12, 31, 23, 59, 58)),
        (datetime(2026, 1, 20, 1, 0, 59, tzinfo=timezone(timedelta(hours=2))), (2026, 1, 19, 23, 0, 58)),
    ],
)
def test_times_are_utc_and_clamped(tmp_path: Path, date: datetime, shown: tuple[int, ...]) -> None:
    write(tmp_path / "p.zip", Member("a", b""), date=date)
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.infolist()[0].date_time == shown


def test_order_holds_while_compressing_in_parallel_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [Member(f"{n:03}", bytes([n % 251]) * (200_000 if n % 7 == 0 else 10)) for n in range(300)]
    whole = write(tmp_path / "a.zip", *members)
    monkeypatch.setattr(zip_writer, "_MAX_PENDING_BYTES", 1000)
    monkeypatch.setattr(zip_writer, "_MAX_PENDING", 2)
    assert write(tmp_path / "b.zip", *members) == whole
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.namelist() == [member.path for member in members]


def test_nothing_appears_when_it_fails(tmp_path: Path) -> None:
    def members() -> Iterator[Member]:
        yield Member("a", b"a")
        raise BuildError("no")

    (tmp_path / "p.zip").write_bytes(b"old")
    with pytest.raises(BuildError, match="no"):
        write_package(tmp_path / "p.zip", members(), date=DATE)
    with pytest.raises(BuildError, match="no members"):
        write_package(tmp_path / "p.zip", [], date=DATE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"p.zip": b"old"}


def test_limits_of_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (zip_writer.MAX_MEMBERS, zip_writer.MAX_SIZE) == (65_534, 2**32 - 2)
    monkeypatch.setattr(zip_writer, "MAX_MEMBERS", 2)
    with pytest.raises(BuildError, match="more than 2 members"):
        write(tmp_path / "p.zip", *(Member(name, b"") for name in "abc"))
    write(tmp_path / "fits.zip", *(Member(name, b"") for name in "ab"))
    monkeypatch.setattr(zip_writer, "MAX_SIZE", 100)
    with pytest.raises(BuildError, match="4 GiB"):
        write(tmp_path / "p.zip", Member("a", b""), Member("b", b""))
    with pytest.raises(BuildError, match="'a' is 4 GiB"):
        write(tmp_path / "p.zip", Member("a", b"x" * 101))


def test_the_package_is_readable_by_others_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write(tmp_path / "p.zip", Member("a", b""))
    finally:
        os.umask(old)
    assert (tmp_path / "p.zip").stat().st_mode & 0o777 == 0o644


def test_the_end_record_counts_members(tmp_path: Path) -> None:
    written = write(tmp_path / "p.zip", Member("a", b""), Member("b", b""))
    signature, *numbers, comment = struct.unpack("<4s4H2IH", written[-22:])
    assert (signature, numbers[:4], comment) == (b"PK\x05\x06", [0, 0, 2, 2], 0)
    assert numbers[5] + numbers[4] + 22 == len(written)


def test_another_compressor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    monkeypatch.setattr(compressor, "compress", lambda data: zlib.compress(data, 9)[2:-4])
    compressor.check_compressor.cache_clear()
    try:
        with pytest.raises(BuildError, match="does not give the bytes"):
            write(tmp_path / "p.zip", Member("a", b""))
    finally:
        compressor.check_compressor.cache_clear()
    monkeypatch.undo()
    write(tmp_path / "p.zip", Member("a", b""))
