"""Hostile inputs that are kept: exported restore points, packages that a publisher signed (see `kept.py`).

Archives with a wrong structure are in tests/package/test_hostile.py; here the structure is right, and its content lies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.package.crafted import Raw, craft
from tests.support.packages import Symlink, deflate, make_package, zip_bytes
from tests.torture.fuzz.archives import restore_point_zip
from tests.torture.fuzz.kept_documents import Case
from tests.torture.fuzz.zips import parse

__all__ = ["CASES"]

FILES: dict[str, bytes | Symlink] = {"app/a.py": b"A = 1\n" * 20, "link": Symlink("app/a.py")}


def _members(change: Callable[[list[Raw]], object], *, relist: bool = False) -> bytes:
    """An exported restore point whose members are changed, the list of them following or not."""
    raws = parse(restore_point_zip(FILES))
    assert raws is not None
    change(raws)
    if relist:
        _relist(raws)
    return craft(raws)


def _relist(raws: list[Raw]) -> None:
    index = json.loads(raws[-1].content)
    index["members"] = []
    raws[:-1] = sorted(raws[:-1], key=lambda raw: raw.name)
    for raw in raws[:-1]:
        link = raw.mode & 0o170000 == 0o120000
        index["members"].append(
            {
                "path": raw.name.decode(),
                "sha256": hashlib.sha256(raw.content).hexdigest(),
                "size": len(raw.content),
                **({"symlink": raw.content.decode()} if link else {"mode": f"{raw.mode & 0o7777:04o}"}),
            }
        )
    raws[-1].content = json.dumps(index).encode()


def _index(change: Callable[[dict[str, Any]], object]) -> bytes:
    def edit(raws: list[Raw]) -> None:
        index = json.loads(raws[-1].content)
        change(index)
        raws[-1].content = json.dumps(index).encode()

    return _members(edit)


def _named(name: str, mode: int = 0o100644, content: bytes = b"x") -> bytes:
    return _members(lambda raws: raws.insert(0, Raw(name.encode(), content, mode)), relist=True)


def _set(index: int, **changes: Any) -> Callable[[list[Raw]], None]:
    def change(raws: list[Raw]) -> None:
        for name, value in changes.items():
            setattr(raws[index], name, value)

    return change


def _first(change: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda index: index["members"][1].update(change)


def _file(change: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda index: index["database"]["files"][0].update(change)


_POINT: dict[str, Case] = {
    "good": (restore_point_zip(FILES), "accepted"),
    "empty": (b"", "UnsafeArchiveError: too few"),
    "a-web-page": (b"<!DOCTYPE html>" * 10, "UnsafeArchiveError: not a zip"),
    "any-other-zip": (zip_bytes([("a.txt", 0o100644, b"x")])[0], "UnsafeArchiveError: must be"),
    "index-is-not-json": (_members(_set(-1, content=b"PK")), "SchemaError: not JSON"),
    "index-is-a-list": (_members(_set(-1, content=b"[]")), "SchemaError: must be an object"),
    "index-of-500000-numbers": (
        _members(_set(-1, content=b'{"members": [' + b"1," * 500_000 + b"1]}")),
        "UnsafeArchiveError: at most",
    ),
    "index-from-the-future": (_index(lambda index: index.update(schema="2.0")), "UnsupportedSchemaError: reads"),
    "index-with-a-duplicate-key": (
        _members(lambda raws: setattr(raws[-1], "content", b'{"app": "a",' + raws[-1].content[1:])),
        "SchemaError: stands twice",
    ),
    "app-is-a-path": (_index(lambda index: index.update(app="../x")), "SchemaError: must be 1 to 64"),
    "version-is-a-path": (_index(lambda index: index.update(version="../x")), "SchemaError: normal form"),
    "created-is-a-number": (_index(lambda index: index.update(created=5)), "SchemaError: must be a string"),
    "members-missing": (_index(lambda index: index.pop("members")), "SchemaError: is missing"),
    "member-listed-twice": (
        _index(lambda index: index["members"].append(index["members"][0])),
        "SchemaError: stands twice",
    ),
    "member-not-listed": (_index(lambda index: index["members"].pop(0)), "UnsafeArchiveError: not listed"),
    "member-only-listed": (
        _index(lambda index: index["members"].append(index["members"][1] | {"path": "files/zzz"})),
        "UnsafeArchiveError: not in the archive",
    ),
    "member-of-another-size": (_index(_first({"size": 4})), "UnsafeArchiveError: in the list"),
    "member-of-another-digest": (_index(_first({"sha256": "0" * 64})), "TargetMismatchError: SHA-256"),
    "member-of-another-mode": (_index(_first({"mode": "0755"})), "UnsafeArchiveError: mode"),
    "member-with-an-unreadable-mode": (_index(_first({"mode": "rwxr"})), "SchemaError: octal"),
    "member-with-a-mode-in-fullwidth-digits": (_index(_first({"mode": "０６４４"})), "SchemaError: octal"),
    "member-called-a-symlink": (_index(_first({"symlink": "b"})), "UnsafeArchiveError: symlink"),
    "member-with-a-traversal": (_index(_first({"path": "files/../../x"})), "SchemaError: '..' segment"),
    "file-is-the-settings": (_named("files/updater.toml"), "SchemaError: belongs to the site"),
    "file-is-the-journal": (_named("files/.updater/journal"), "SchemaError: belongs to the site"),
    "file-is-the-state-directory-in-capitals": (_named("files/.Updater/x"), "SchemaError: belongs to the site"),
    "file-is-setuid": (_named("files/a", 0o104755), "UnsafeArchiveError: setuid"),
    "file-is-a-device": (_named("files/a", 0o060644), "UnsafeArchiveError: device"),
    "file-is-a-pipe": (_named("files/a", 0o010644), "UnsafeArchiveError: special file"),
    "file-and-folder": (_named("files/app"), "UnsafeArchiveError: needs it to be a directory"),
    "files-that-differ-in-case": (_named("files/APP/a.py"), "UnsafeArchiveError: collide"),
    "link-leaves-the-tree": (_named("files/x", 0o120777, b"../../x"), "UnsafeArchiveError: leaves the tree"),
    "link-is-absolute": (_named("files/x", 0o120777, b"/etc/passwd"), "UnsafeArchiveError: not a relative path"),
    "link-is-not-utf-8": (
        _members(lambda raws: raws.insert(1, Raw(b"files/a", b"\xff", 0o120777))),
        "UnsafeArchiveError: not listed",
    ),
    "database-leaves-its-folder": (_named("database/../../x"), "UnsafeArchiveError: '..' segment"),
    "database-and-a-folder-of-its-name": (_named("database"), "UnsafeArchiveError: needs it to be a directory"),
    "database-record-is-a-string": (_index(lambda index: index.update(database="x")), "SchemaError: an object"),
    "database-record-is-empty": (_index(lambda index: index.update(database={})), "SchemaError: is missing"),
    "database-record-without-size": (_index(_file({"size": None})), "SchemaError: is null"),
    "database-record-with-a-size-in-words": (_index(_file({"size": "many"})), "SchemaError: whole number"),
    "database-record-names-a-path": (_index(_file({"name": "../../x"})), "SchemaError: name of a file"),
    "manifest-missing": (_members(lambda raws: raws.pop(-2), relist=True), "SchemaError: no manifest.json"),
    "manifest-is-not-json": (_members(_set(-2, content=b"x" * 9), relist=True), "SchemaError: not JSON"),
    "manifest-unpacks-to-more": (
        _members(_set(-2, content=b"\0" * 50_000, data=deflate(b"\0" * 2_000_000), method=8), relist=True),
        "UnsafeArchiveError: more than its",
    ),
    "cut-short": (restore_point_zip(FILES)[:-9], "UnsafeArchiveError: cut short"),
    "one-bit-in-a-file": (
        bytes(byte ^ (1 if number == 60 else 0) for number, byte in enumerate(restore_point_zip(FILES))),
        "UnsafeArchiveError: ",
    ),
}


def _signed(change: Callable[[list[Raw]], object], files: dict[str, bytes | Symlink] = FILES) -> bytes:
    raws = parse(make_package(files).package)
    assert raws is not None
    change(raws)
    return craft(raws)


def _manifest(change: Callable[[dict[str, Any]], object]) -> bytes:
    def edit(raws: list[Raw]) -> None:
        manifest = json.loads(raws[-1].content)
        change(manifest)
        raws[-1].content = json.dumps(manifest).encode()

    return _signed(edit)


_PACKAGE: dict[str, Case] = {
    "manifest-lists-a-file-that-is-not-there": (
        _manifest(lambda manifest: manifest["files"].append(manifest["files"][0] | {"path": "zzz"})),
        "UnsafeArchiveError: not in the archive",
    ),
    "manifest-does-not-list-a-file": (
        _manifest(lambda manifest: manifest["files"].pop()),
        "UnsafeArchiveError: not listed",
    ),
    "manifest-calls-a-file-a-link": (
        _manifest(lambda manifest: (manifest["files"][0].pop("mode"), manifest["files"][0].update(symlink="x"))),
        "UnsafeArchiveError: symlink",
    ),
    "manifest-calls-a-link-a-file": (
        _manifest(lambda manifest: manifest["files"][1].pop("symlink")),
        "UnsafeArchiveError: symlink",
    ),
    "manifest-has-another-link": (
        _manifest(lambda manifest: manifest["files"][1].update(symlink="app/b.py")),
        "UnsafeArchiveError: not a symlink to the listed target",
    ),
    "manifest-has-another-digest": (
        _manifest(lambda manifest: manifest["files"][0].update(sha256="0" * 64)),
        "TargetMismatchError: SHA-256",
    ),
    "manifest-has-another-mode": (
        _manifest(lambda manifest: manifest["files"][0].update(mode="0755")),
        "UnsafeArchiveError: mode",
    ),
    "manifest-is-a-list": (_signed(_set(-1, content=b"[]")), "SchemaError: must be an object"),
    "manifest-is-of-2000-numbers": (
        _manifest(lambda manifest: manifest.update(files=[1] * 2000)),
        "SchemaError: must be an object",
    ),
    "bomb-in-a-file": (
        _signed(_set(0, data=deflate(b"\0" * 3_000_000), method=8), {"a": b"\0" * 50_000}),
        "UnsafeArchiveError: more than its",
    ),
    "bomb-that-is-honest-about-its-size": (make_package({"a": b"\0" * 3_000_000}).package, "accepted"),
    "file-of-another-content": (_signed(_set(0, content=b"B = 1\n" * 20)), "TargetMismatchError: SHA-256"),
}

CASES: dict[str, dict[str, Case]] = {"exported-point": _POINT, "package-signed": _PACKAGE}
