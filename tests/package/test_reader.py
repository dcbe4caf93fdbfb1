"""Reading good packages, and what a reader promises for any bytes at all."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.package.crafted import FILES, good
from tests.support.packages import Built, Symlink, make_package
from updater.errors import FeedError, StateError, TargetMismatchError, UnsafeArchiveError
from updater.package import PackageReader, read_tail
from updater.package.content import CHUNK

BUILT, _ = good()
ROOT = Path(__file__).parents[2]


def open_package(data: bytes, built: Built = BUILT) -> PackageReader:
    return PackageReader.open(
        io.BytesIO(data),
        manifest_sha256=built.manifest_sha256,
        manifest_size=len(built.manifest_bytes),
        name="shop-1.0.0.zip",
    )


def contents(package: PackageReader) -> dict[str, bytes]:
    return {path: package.read(path) for path in package.manifest.files}


def test_gives_out_exactly_what_was_packed() -> None:
    with open_package(BUILT.package) as package:
        assert package.manifest == BUILT.manifest
        assert package.manifest_bytes == BUILT.manifest_bytes
        found = contents(package)
        assert package.read_symlink("docs/latest") == "../app/main.py"
    assert {path: found[path] for path in FILES} == {
        path: content.encode() if isinstance(content, Symlink) else content for path, content in FILES.items()
    }


def test_any_unzip_reads_the_test_packages_too() -> None:
    with zipfile.ZipFile(io.BytesIO(BUILT.package)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*BUILT.manifest.files, "update_manifest.json"]


def test_verify_reports_every_byte_once() -> None:
    seen: list[tuple[int, int]] = []
    open_package(BUILT.package).verify(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (BUILT.manifest.installed_size, BUILT.manifest.installed_size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_path_that_is_not_in_the_manifest() -> None:
    with pytest.raises(KeyError):
        open_package(BUILT.package).read("nope")


def test_a_file_is_no_symlink() -> None:
    with pytest.raises(UnsafeArchiveError, match="not a symlink"):
        open_package(BUILT.package).read_symlink("data.bin")


def test_a_package_of_empty_files() -> None:
    built = make_package({"a/__init__.py": b"", "b/__init__.py": b""})
    assert contents(open_package(built.package, built))["a/__init__.py"] == b""


def test_the_file_is_not_looked_up_again(tmp_path: Path) -> None:
    """Who swaps the file after the check changes nothing: everything comes from the open handle."""
    path = tmp_path / "package.zip"
    path.write_bytes(BUILT.package)
    with path.open("rb") as file:
        package = PackageReader.open(
            file, manifest_sha256=BUILT.manifest_sha256, manifest_size=len(BUILT.manifest_bytes), name="p"
        )
        other = tmp_path / "other"
        other.write_bytes(b"evil")
        os.replace(other, path)
        assert package.read("data.bin") == FILES["data.bin"]


def test_a_file_that_shrinks_while_it_is_read() -> None:
    file = io.BytesIO(BUILT.package)
    package = PackageReader.open(
        file, manifest_sha256=BUILT.manifest_sha256, manifest_size=len(BUILT.manifest_bytes), name="p"
    )
    file.truncate(50)
    with pytest.raises(UnsafeArchiveError, match="bytes should follow"):
        package.verify()


def test_a_disk_that_fails() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(StateError, match="Input/output error"):
        PackageReader.open(Broken(BUILT.package), manifest_sha256="0" * 64, manifest_size=1, name="p")


def test_nothing_past_the_signed_size_is_written() -> None:
    """A member that inflates to more than its entry says is refused before the surplus reaches the destination."""
    from tests.package.crafted import Raw, craft, raws_of
    from tests.support.packages import deflate

    raws = raws_of(BUILT)
    raws[0] = Raw(raws[0].name, raws[0].content, raws[0].mode, data=deflate(b"\0" * 100_000))
    package = open_package(craft(raws))
    written = io.BytesIO()
    with pytest.raises(UnsafeArchiveError):
        package.extract("app/main.py", written)
    assert len(written.getvalue()) <= len(raws[0].content)


def test_a_large_member_needs_little_memory() -> None:
    size = 48 * 1024 * 1024
    built = make_package({"big": b"\0" * size, "rand": bytes(range(256)) * 4})
    source = io.BytesIO(built.package)

    class Sink(io.RawIOBase):
        total = 0

        def write(self, data: object) -> int:
            assert isinstance(data, bytes)
            assert len(data) <= CHUNK
            Sink.total += len(data)
            return len(data)

    tracemalloc.start()
    try:
        package = PackageReader.open(
            source, manifest_sha256=built.manifest_sha256, manifest_size=len(built.manifest_bytes), name="p"
        )
        package.extract("big", Sink())  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert Sink.total == size
    assert peak < 6 * CHUNK


# tails


def test_the_tail_alone_gives_the_manifest_and_where_everything_lies() -> None:
    tail = read_tail(
        BUILT.tail,
        BUILT.tail_offset,
        manifest_sha256=BUILT.manifest_sha256,
        manifest_size=len(BUILT.manifest_bytes),
    )
    assert tail.manifest == BUILT.manifest
    assert tail.manifest_bytes == BUILT.manifest_bytes
    member = next(member for member in tail.members if member.path == "data.bin")
    assert BUILT.package[member.data_offset : member.end] == FILES["data.bin"]


@pytest.mark.parametrize("shift", [-30, -1, 1, 30])
def test_a_tail_from_elsewhere_is_refused(shift: int) -> None:
    start = BUILT.tail_offset + shift
    for offset in (start, BUILT.tail_offset):
        with pytest.raises(FeedError):
            read_tail(
                BUILT.package[start:],
                offset,
                manifest_sha256=BUILT.manifest_sha256,
                manifest_size=len(BUILT.manifest_bytes),
            )


def test_the_tail_of_another_release_is_refused() -> None:
    other = make_package({"a": b"1"}, version="1.1.0")
    with pytest.raises(TargetMismatchError):
        read_tail(
            other.tail,
            other.tail_offset,
            manifest_sha256=BUILT.manifest_sha256,
            manifest_size=len(other.manifest_bytes),
        )


# any bytes at all


def refused_or_same(data: bytes) -> None:
    try:
        with open_package(data) as package:
            found = contents(package)
    except (UnsafeArchiveError, TargetMismatchError):
        return
    assert found == contents(open_package(BUILT.package))


def test_every_single_byte_matters() -> None:
    """Whichever byte is changed: refused. Only a deflate stream's last byte may have padding that means nothing."""
    padding = {member.end - 1 for member in open_package(BUILT.package).members.values() if member.method == 8}
    for position in range(BUILT.size):
        for mask in (0x01, 0x80, 0xFF):
            data = bytearray(BUILT.package)
            data[position] ^= mask
            if position in padding:
                refused_or_same(bytes(data))
            else:
                with pytest.raises((UnsafeArchiveError, TargetMismatchError)):
                    contents(open_package(bytes(data)))


def test_every_truncation_is_refused() -> None:
    for length in range(BUILT.size):
        with pytest.raises((UnsafeArchiveError, TargetMismatchError)):
            contents(open_package(BUILT.package[:length]))


positions = st.integers(0, BUILT.size)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(positions, positions, st.binary(max_size=40)), min_size=1, max_size=4))
def test_random_edits_are_refused_or_change_nothing(edits: list[tuple[int, int, bytes]]) -> None:
    data = BUILT.package
    for start, stop, replacement in edits:
        low, high = min(start, stop), max(start, stop)
        high = min(high, low + 60)
        data = data[:low] + replacement + data[high:]
    refused_or_same(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06"]))
def test_random_bytes_are_refused(data: bytes, start: bytes) -> None:
    with pytest.raises((UnsafeArchiveError, TargetMismatchError)):
        open_package(start + data)


@settings(max_examples=150, deadline=None)
@given(positions, st.binary(min_size=1, max_size=8))
def test_random_tails_are_refused_or_give_the_same_manifest(position: int, replacement: bytes) -> None:
    data = bytearray(BUILT.tail)
    position %= len(data)
    data[position : position + len(replacement)] = replacement
    try:
        tail = read_tail(
            bytes(data),
            BUILT.tail_offset,
            manifest_sha256=BUILT.manifest_sha256,
            manifest_size=len(BUILT.manifest_bytes),
        )
    except FeedError:
        return
    assert tail.manifest_bytes == BUILT.manifest_bytes


@pytest.mark.parametrize("module", ["updater.package", "updater.database", "updater.process"])
def test_recovery_can_import_it_without_any_installed_package(module: str) -> None:
    """The package ``updater.package.index`` aside: tests/test_architecture.py proves that nothing here uses it."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}, pkgutil\n"
    code += f"for m in pkgutil.iter_modules({module}.__path__): m.ispkg or __import__({module!r} + '.' + m.name)\n"
    code += "outside = [m for m in sys.modules if 'site-packages' in (getattr(sys.modules[m], '__file__', '') or '')]\n"
    code += "assert not outside, outside"
    subprocess.run([sys.executable, "-S", "-E", "-c", code], check=True, cwd="/")
