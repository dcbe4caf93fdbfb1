"""Archives that no correct publisher makes: each is refused, for the right reason, before a byte is given out."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable

import pytest

from tests.package.crafted import Raw, craft, good
from tests.support.packages import Built, Symlink, deflate, make_package, zip_bytes
from updater.errors import SchemaError, TargetMismatchError, UnsafeArchiveError
from updater.package import PackageReader, read_tail
from updater.schema.manifest import MANIFEST_NAME

Attack = Callable[[list[Raw]], bytes]


def renamed(name: str | bytes) -> Attack:
    """The first member under another name (in both headers)."""

    def attack(raws: list[Raw]) -> bytes:
        raws[0].name = name if isinstance(name, bytes) else name.encode()
        return craft(raws)

    return attack


def added(*raws_to_add: Raw) -> Attack:
    """Further members, in sorted order."""

    def attack(raws: list[Raw]) -> bytes:
        tree = sorted([*raws[:-1], *raws_to_add], key=lambda raw: raw.name)
        return craft([*tree, raws[-1]])

    return attack


def changed(index: int = 0, **attributes: object) -> Attack:
    def attack(raws: list[Raw]) -> bytes:
        for name, value in attributes.items():
            setattr(raws[index], name, value)
        return craft(raws)

    return attack


def fields(index: int = 0, where: str = "both", **values: int) -> Attack:
    """Header fields of one member, in one header or both."""

    def attack(raws: list[Raw]) -> bytes:
        if where in ("both", "local"):
            raws[index].local.update(values)
        if where in ("both", "central"):
            raws[index].central.update(values)
        return craft(raws)

    return attack


def end(**values: int) -> Attack:
    return lambda raws: craft(raws, end=values)


def edited(edit: Callable[[bytes], bytes]) -> Attack:
    return lambda raws: edit(craft(raws))


def directory_reordered(raws: list[Raw]) -> bytes:
    """Local headers in order, directory entries swapped."""
    data = craft(raws)
    first, second = (46 + len(raws[i].name) for i in (0, 1))
    start = struct.unpack_from("<I", data, len(data) - 6)[0]
    entries = data[start : start + first], data[start + first : start + first + second]
    return data[:start] + entries[1] + entries[0] + data[start + first + second :]


def overlapping(raws: list[Raw]) -> bytes:
    """Two directory entries for one local header: the quoted-overlap bomb."""
    raws[1].central["offset"] = 0
    return craft(raws)


def manifest_first(raws: list[Raw]) -> bytes:
    return craft([raws[-1], *raws[:-1]])


def zip64(raws: list[Raw]) -> bytes:
    data = craft(raws)
    body, record = data[:-22], data[-22:]
    extended = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 5, 5, 1, 1)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, len(body), 1)
    return body + extended + locator + record


EXTRA64 = struct.pack("<HHQ", 1, 8, 5)
BOMB = deflate(b"\0" * 100_000)

ATTACKS: dict[str, tuple[Attack, str]] = {
    # where a member would be written
    "traversal": (renamed("../../evil"), r"'\.\.' segment"),
    "traversal inside": (renamed("app/../../evil"), r"'\.\.' segment"),
    "dot segment": (renamed("./main.py"), r"'\.' or '\.\.' segment"),
    "empty segment": (renamed("app//main.py"), "empty"),
    "empty name": (renamed(""), "empty path"),
    "absolute": (renamed("/etc/cron.d/evil"), "is absolute"),
    "drive": (renamed("C:evil.py"), "colon"),
    "drive with slash": (renamed("C:/evil.py"), "colon"),
    "backslash": (renamed("..\\evil.py"), "backslash"),
    "alternate stream": (renamed("a.txt:evil"), "colon"),
    "NUL": (renamed("a.py\0.txt"), "control character"),
    "newline": (renamed("a\n.py"), "control character"),
    "C1 control": (renamed("a\x9b.py"), "control character"),
    "device": (renamed("CON"), "device name"),
    "device with extension": (renamed("app/aux.py"), "device name"),
    "device in a folder": (renamed("lpt1/x.py"), "device name"),
    "trailing dot": (renamed("app."), "dot or a space"),
    "trailing space": (renamed("app "), "dot or a space"),
    "not NFC": (renamed("cafe\u0301.py"), "normal form C"),
    "long segment": (renamed("a" * 256), "longer than 255"),
    "long path": (renamed("/".join(["a" * 200] * 6)), "longer than 1024"),
    "not UTF-8": (renamed(b"a\xff.py"), "not UTF-8"),
    "surrogate": (renamed(b"a\xed\xa0\x80.py"), "not UTF-8"),
    "state directory": (renamed(".updater/journal"), "belongs to the site"),
    "state directory in capitals": (renamed(".Updater/journal"), "belongs to the site"),
    "site settings": (renamed("updater.toml"), "belongs to the site"),
    # one place, two members
    "duplicate": (added(Raw(b"app/main.py", b"evil")), "stands twice"),
    "case collision": (added(Raw(b"app/MAIN.py", b"evil")), "collide"),
    "Unicode collision": (added(Raw("ſ.txt".encode(), b"a"), Raw(b"s.txt", b"b")), "collide"),
    "file as a folder": (added(Raw(b"app/main.py/x", b"evil")), "needs it to be a directory"),
    "two manifests": (added(Raw(MANIFEST_NAME.encode(), b"{}")), "belongs to the site|stands twice"),
    # what is not a plain file
    "folder member": (added(Raw(b"app/x/", b"", 0o40755)), "is a directory"),
    "folder by name": (added(Raw(b"app/x/", b"")), "is a directory"),
    "setuid": (changed(mode=0o104755), "setuid"),
    "setgid": (changed(mode=0o102755), "setuid, setgid"),
    "sticky": (changed(mode=0o101644), "sticky"),
    "character device": (changed(mode=0o020644), "device"),
    "block device": (changed(mode=0o060644), "device"),
    "fifo": (changed(mode=0o010644), "device or another special"),
    "socket": (changed(mode=0o140644), "device or another special"),
    "no type": (changed(mode=0o644), "no Unix file type"),
    "world writable": (changed(mode=0o100666), "mode 0666"),
    "mode not of the manifest": (changed(mode=0o100755), "mode 0755 in the archive and 0644"),
    "symlink mode": (changed(3, mode=0o120755), "symlink with the mode"),
    "file became a symlink": (changed(mode=0o120777), "symlink in the archive or in the list"),
    "symlink became a file": (changed(3, mode=0o100644), "symlink in the archive or in the list"),
    "DOS attributes": (fields(where="central", external=0o100644 << 16 | 0x10), "DOS attributes"),
    "text attribute": (fields(where="central", internal=1), "DOS attributes"),
    # not a member of the manifest, or not there
    "extra member": (added(Raw(b"evil.py", b"evil")), "in the archive, but not listed"),
    "missing member": (lambda raws: craft(raws[1:]), "listed, but not in the archive"),
    "missing manifest": (lambda raws: craft(raws[:-1]), "where 'update_manifest.json' must be"),
    "manifest not last": (manifest_first, "where 'update_manifest.json' must be"),
    "manifest as a symlink": (changed(-1, mode=0o120777), "is a symlink"),
    "wrong size": (changed(content=b"evil", method=0), "4 bytes in the archive and 600"),
    "directory out of order": (directory_reordered, "gap before it|overlaps"),
    # bombs
    "bomb": (changed(data=BOMB, method=8), "more than its 600 bytes"),
    "honest bomb": (
        lambda raws: craft([*raws[:-1], Raw(b"zz", b"\0" * 5_000_000), raws[-1]]),
        "in the archive, but not listed",
    ),
    "overlap": (overlapping, "overlaps what is before it"),
    # bytes that belong to nobody
    "prefix": (lambda raws: craft(raws, prefix=b"#!/bin/sh\nexit\n"), "a gap before it: begins at byte 15"),
    "prefix without shifted offsets": (edited(lambda data: b"MZ" + data), "put before or into"),
    "gap between members": (changed(1, gap=b"hidden"), "a gap before it"),
    "gap after content": (changed(1, after=b"hidden"), "a gap before it"),
    "gap before the directory": (lambda raws: craft(raws, middle=b"hidden"), "but the directory begins"),
    "gap before the end": (edited(lambda data: data[:-22] + b"hide" + data[-22:]), "4 bytes earlier"),
    "trailing bytes": (edited(lambda data: data + b"x"), "data after its end record"),
    "appended archive": (edited(lambda data: data + data), "put before or into"),
    "comment": (edited(lambda data: data[:-2] + b"\x05\0hello"), "comment"),
    "comment length only": (end(comment_len=5), "comment"),
    "member comment": (changed(comment=b"hello"), "has a comment"),
    "extra field": (changed(extra=b"\x01\x00\x00\x00"), "extra field"),
    "local extra field": (changed(local_extra=b"\x01\x00\x00\x00"), "a gap before it"),
    "directory with a spare entry": (end(count=5, here=5), "bytes that are no member"),
    "directory with an entry too few": (end(count=7, here=7), "ends after 6 of 7"),
    "data after the deflate stream": (
        lambda raws: changed(data=deflate(raws[0].content) + b"hidden")(raws),
        "after its deflate stream",
    ),
    # zip features that are not ours
    "ZIP64 end record": (zip64, "put before or into"),
    "ZIP64 count": (end(count=0xFFFF, here=0xFFFF), "ZIP64"),
    "ZIP64 offset": (end(dir_offset=0xFFFFFFFF), "ZIP64"),
    "ZIP64 size": (fields(where="central", size=0xFFFFFFFF), "ZIP64"),
    "ZIP64 extra": (changed(extra=EXTRA64), "extra field"),
    "split": (end(disk=1), "split over several disks"),
    "count differs": (end(here=4), "split over several disks"),
    "other disk": (fields(where="central", disk=1), "another disk"),
    "no members": (lambda raws: craft([]), "no members"),
    "encrypted": (fields(flags=0x801), "encrypted"),
    "strongly encrypted": (fields(flags=0x841), "encrypted"),
    "data descriptor": (fields(flags=0x808), "data descriptor"),
    "not marked as UTF-8": (fields(flags=0), "flags 0x0000"),
    "deflate option bits": (fields(flags=0x802), "flags 0x0802"),
    "method deflate64": (fields(method=9), "unknown method 9"),
    "method LZMA": (fields(method=14), "unknown method 14"),
    "method zstd": (fields(method=93), "unknown method 93"),
    "made by DOS": (fields(where="central", made_by=20), "was made as"),
    "needs 4.5": (fields(needed=45), "needs 45"),
    "stored with two sizes": (fields(2, packed=10), "two sizes differ"),
    "deflated though not smaller": (
        changed(2, method=8),
        "deflated without being smaller",
    ),
    "different times": (fields(1, time=1), "same time"),
    # local header and directory disagree
    "local name": (changed(local_name=b"app/evil.py"), "disagree about its name"),
    "local longer name": (changed(local_name=b"app/main.pyc"), "a gap before it"),
    "local name length": (fields(where="local", name_len=10), "disagree about its name length"),
    "local CRC": (fields(where="local", crc=1), "disagree about its CRC"),
    "local size": (fields(where="local", size=5_000_000), "disagree about its size"),
    "local packed size": (fields(where="local", packed=1), "disagree about its packed size"),
    "local method": (fields(where="local", method=0), "disagree about its method"),
    "local flags": (fields(where="local", flags=0x808), "disagree about its flags"),
    "local time": (fields(where="local", time=7), "disagree about its time"),
    "local version": (fields(where="local", needed=45), "disagree about its version"),
    "no local header": (edited(lambda data: b"XX" + data[2:]), "no local header"),
    "no directory entry": (edited(lambda data: data.replace(b"PK\x01\x02", b"PK\x01\x07", 1)), "no directory entry"),
    # damage
    "empty": (lambda raws: b"", "too few"),
    "a web page": (lambda raws: b"<!DOCTYPE html><title>404</title>", "not a zip"),
    "cut short": (edited(lambda data: data[:-30]), "cut short|after its end"),
    "cut by one byte": (edited(lambda data: data[:-1]), "cut short"),
    "begin missing": (edited(lambda data: data[10:]), "later"),
    "wrong CRC": (fields(crc=12345), "CRC differs"),
    "not deflate": (changed(data=b"\xff" * 50), "not a deflate stream"),
    "deflate ends early": (
        lambda raws: changed(data=deflate(raws[0].content)[:-3])(raws),
        "ends early",
    ),
    "shorter than it says": (
        lambda raws: changed(data=deflate(raws[0].content[:-1]), content=raws[0].content)(raws),
        "599 bytes instead of 600",
    ),
}


def test_there_are_at_least_sixty() -> None:
    assert len(ATTACKS) >= 60


def test_the_crafter_makes_good_packages_when_nothing_is_wrong() -> None:
    built, raws = good()
    assert craft(raws) == built.package


@pytest.mark.parametrize("name", ATTACKS)
def test_is_refused_for_its_reason(name: str) -> None:
    attack, reason = ATTACKS[name]
    built, raws = good()
    data = attack(raws)
    assert data != built.package
    with pytest.raises(UnsafeArchiveError, match=reason) as refusal:
        _read_all(data, built.manifest_sha256, len(built.manifest_bytes))
    assert str(refusal.value).startswith("shop-1.0.0.zip is refused")
    assert refusal.value.hint


def test_every_finding_is_listed() -> None:
    built, raws = good()
    raws[0].name, raws[1].mode, raws[2].name = b"../a", 0o104755, b"CON"
    with pytest.raises(UnsafeArchiveError) as refusal:
        _read_all(craft(raws), built.manifest_sha256, len(built.manifest_bytes))
    for reason in ("'..' segment", "setuid", "device name"):
        assert reason in str(refusal.value)


def test_thousands_of_findings_stay_readable() -> None:
    data, _ = zip_bytes([(f"../{i:05}", 0o100644, b"") for i in range(3000)])
    with pytest.raises(UnsafeArchiveError) as refusal:
        _read_all(data, "0" * 64, 10)
    assert len(str(refusal.value)) < 5000


def test_content_that_differs_from_the_manifest() -> None:
    built, raws = good()
    raws[0].content = raws[0].content.replace(b"hello", b"evil!")
    with pytest.raises(TargetMismatchError, match=r"'app/main\.py'"):
        _read_all(craft(raws), built.manifest_sha256, len(built.manifest_bytes))


def test_another_manifest_than_the_signed_one() -> None:
    built, _ = good()
    other = make_package({"a": b"evil"})
    with pytest.raises(TargetMismatchError, match="manifest"):
        _read_all(other.package, built.manifest_sha256, len(built.manifest_bytes))
    with pytest.raises(TargetMismatchError, match="SHA-256"):
        _read_all(other.package, built.manifest_sha256, len(other.manifest_bytes))


def test_a_signed_manifest_that_is_no_manifest() -> None:
    data, _ = zip_bytes([(MANIFEST_NAME, 0o100644, b"{}")])
    with pytest.raises(SchemaError):
        _read_all(data, hashlib.sha256(b"{}").hexdigest(), 2)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "a/../../..", "C:x", "a\\b"])
def test_a_signed_manifest_with_a_symlink_out_of_the_tree(target: str) -> None:
    with pytest.raises(SchemaError, match="symlink"):
        _read_built(make_package({"docs/x": Symlink(target)}))


def test_a_symlink_that_would_leave_through_another_one() -> None:
    links = {"a/b/up": Symlink("../.."), "x": Symlink("a/b/up/../etc")}
    with pytest.raises(SchemaError, match="symlink"):
        _read_built(make_package(links))


def test_symlinks_through_each_other_that_stay_inside() -> None:
    links = {
        "docs/1.1/a": b"x",
        "docs/latest": Symlink("1.1"),
        "top": Symlink("docs/latest/a"),
        "loop": Symlink("loop"),
    }
    _read_built(make_package(links))


def test_a_symlink_to_another_target_than_the_listed_one() -> None:
    built, raws = good()
    raws[3].content = b"../app/evil.py"
    with pytest.raises(TargetMismatchError):
        _read_all(craft(raws), built.manifest_sha256, len(built.manifest_bytes))


@pytest.mark.parametrize(
    "name", [n for n in ATTACKS if n in ("traversal", "comment", "overlap", "encrypted", "ZIP64 size")]
)
def test_a_tail_is_judged_alike(name: str) -> None:
    attack, reason = ATTACKS[name]
    built, raws = good()
    data = attack(raws)
    offset = built.tail_offset
    with pytest.raises(UnsafeArchiveError, match=reason):
        read_tail(data[offset:], offset, manifest_sha256=built.manifest_sha256, manifest_size=len(built.manifest_bytes))


def _read_built(built: Built) -> None:
    _read_all(built.package, built.manifest_sha256, len(built.manifest_bytes))


def _read_all(data: bytes, sha256: str, size: int) -> None:
    with PackageReader.open(
        io.BytesIO(data), manifest_sha256=sha256, manifest_size=size, name="shop-1.0.0.zip"
    ) as package:
        package.verify()
