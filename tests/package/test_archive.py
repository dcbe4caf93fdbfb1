"""Exported restore points: the writer's archives are read back by the strict reader, and by any unzip."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.packages import zip_bytes
from updater.errors import StateError, TargetMismatchError, UnsafeArchiveError
from updater.package import ArchiveReader, ArchiveWriter, MemberSpec, writer


def export(path: Path, files: Mapping[str, bytes], index: bytes = b"{}") -> dict[str, MemberSpec]:
    with ArchiveWriter(path) as archive:
        specs = {name: archive.add_bytes(name, files[name]) for name in sorted(files, key=str.encode)}
        archive.close(index)
    return specs


def test_round_trip(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"print(1)\n" * 1000)
    source.chmod(0o640)
    path = tmp_path / "point.zip"
    with ArchiveWriter(path) as archive:
        specs = {
            "database/db": archive.add_bytes("database/db", os.urandom(5000), mode=0o600),
            "files/a.py": archive.add("files/a.py", source),
            "files/link": archive.add_symlink("files/link", "a.py"),
        }
        archive.close(b'{"files": []}')
    assert specs["files/a.py"].mode == 0o640
    assert specs["files/link"] == MemberSpec(4, specs["files/link"].sha256, 0, "a.py")
    with path.open("rb") as file, ArchiveReader.open(file) as reader:
        assert reader.read_index() == b'{"files": []}'
        assert list(reader.members) == ["database/db", "files/a.py", "files/link", "restore_point.json"]
        reader.expect(specs)
        reader.verify()
        assert reader.read("files/a.py") == source.read_bytes()
        assert reader.read_symlink("files/link") == "a.py"
    assert zipfile.ZipFile(path).testzip() is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["point.zip", "source"]


def test_same_content_same_bytes(tmp_path: Path) -> None:
    files = {"files/a": b"a" * 1000, "files/b": os.urandom(1000)}
    export(tmp_path / "1.zip", files)
    export(tmp_path / "2.zip", files)
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-f]{1,8}", fullmatch=True), st.binary(max_size=2000), max_size=6))
def test_any_content_comes_back(files: dict[str, bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zip")
        specs = export(path, files)
        with path.open("rb") as file:
            reader = ArchiveReader.open(file)
            reader.expect(specs)
            assert {name: reader.read(name) for name in files} == files


def test_nothing_appears_when_it_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ArchiveWriter(tmp_path / "x.zip") as archive:
        archive.add_bytes("a", b"1")
        assert not (tmp_path / "x.zip").exists()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_older_export_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), ArchiveWriter(path) as archive:
        archive.add_bytes("a", b"1")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    export(path, {"a": b"1"})
    assert path.read_bytes() != b"old"


@pytest.mark.parametrize("name", ["../a", "/a", "con", "a\\b", "restore_point.json"])
def test_unacceptable_paths_are_not_written(tmp_path: Path, name: str) -> None:
    with ArchiveWriter(tmp_path / "x.zip") as archive, pytest.raises(ValueError, match="'"):
        archive.add_bytes(name, b"")


@pytest.mark.parametrize("name", ["a", "b"])
def test_members_must_come_in_order(tmp_path: Path, name: str) -> None:
    with ArchiveWriter(tmp_path / "x.zip") as archive:
        archive.add_bytes("b", b"")
        with pytest.raises(ValueError, match="sorts behind"):
            archive.add_bytes(name, b"")


def test_a_symlink_out_of_the_tree_is_not_written(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.zip") as archive, pytest.raises(ValueError, match="tree"):
        archive.add_symlink("a", "../x")


def test_a_special_file_is_not_exported(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.zip") as archive, pytest.raises(StateError, match="Not a regular file"):
        archive.add("a", Path("/dev/null"))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.zip") as archive, pytest.raises(StateError, match="cannot export"):
        archive.add("a", tmp_path / "nope")


def test_the_limit_of_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_SIZE", 1000)
    with ArchiveWriter(tmp_path / "x.zip") as archive, pytest.raises(StateError, match="4 GiB"):
        archive.add_bytes("a", b"\0" * 1001)
    monkeypatch.setattr(writer, "MAX_SIZE", 10**9)
    monkeypatch.setattr(writer, "MAX_MEMBERS", 2)
    with ArchiveWriter(tmp_path / "x.zip") as archive:
        archive.add_bytes("a", b"")
        archive.add_bytes("b", b"")
        with pytest.raises(StateError, match="more than 2"):
            archive.add_bytes("c", b"")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with ArchiveWriter(tmp_path / "x.zip") as archive:
        archive._file.close()
        archive._file = Full()
        with pytest.raises(StateError, match="No space left"):
            archive.add_bytes("a", b"1")
    assert list(tmp_path.iterdir()) == []


# what comes back is judged like a package


def read_back(data: bytes, specs: Mapping[str, MemberSpec]) -> None:
    reader = ArchiveReader.open(io.BytesIO(data), name="point.zip")
    reader.read_index()
    reader.expect(specs)
    reader.verify()


def test_members_that_the_list_does_not_have(tmp_path: Path) -> None:
    specs = export(tmp_path / "x.zip", {"a": b"1", "b": b"2"})
    data = (tmp_path / "x.zip").read_bytes()
    read_back(data, specs)
    with pytest.raises(UnsafeArchiveError, match="'b': is in the archive, but not listed"):
        read_back(data, {"a": specs["a"]})
    with pytest.raises(UnsafeArchiveError, match="'c': is listed, but not in the archive"):
        read_back(data, {**specs, "c": specs["a"]})
    with pytest.raises(TargetMismatchError):
        read_back(data, {**specs, "a": specs["b"]})
    with pytest.raises(UnsafeArchiveError, match="mode 0644 in the archive and 0600"):
        read_back(data, {**specs, "a": MemberSpec(1, specs["a"].sha256, 0o600)})


def test_nothing_can_be_read_before_the_list_is_known(tmp_path: Path) -> None:
    export(tmp_path / "x.zip", {"a": b"1"})
    with (tmp_path / "x.zip").open("rb") as file, pytest.raises(KeyError):
        ArchiveReader.open(file).read("a")


def test_a_symlink_target_in_the_list_that_leaves_the_tree() -> None:
    data, _ = zip_bytes([("files/x", 0o120777, b"../../etc"), ("restore_point.json", 0o100644, b"{}")])
    with pytest.raises(UnsafeArchiveError, match="leaves the tree"):
        read_back(data, {"files/x": MemberSpec(9, "0" * 64, 0, "../../etc")})


def test_modes_of_a_site_are_kept_but_not_setuid() -> None:
    for mode, fine in ((0o100664, True), (0o100600, True), (0o104755, False)):
        data, _ = zip_bytes([("files/x", mode, b""), ("restore_point.json", 0o100644, b"{}")])
        if fine:
            ArchiveReader.open(io.BytesIO(data))
        else:
            with pytest.raises(UnsafeArchiveError, match="setuid"):
                ArchiveReader.open(io.BytesIO(data))


def test_a_huge_index_is_not_read() -> None:
    data, _ = zip_bytes([("restore_point.json", 0o100644, b" " * 10_000)])
    with pytest.raises(UnsafeArchiveError, match="at most 100"):
        ArchiveReader.open(io.BytesIO(data)).read_index(limit=100)
