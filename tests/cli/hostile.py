"""Files of a site, ways to damage them, and command lines to run on the result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["CORRUPTIONS", "FILES", "VERBS", "newest_point"]


def newest_point(site: Path) -> Path:
    """The restore point of 1.0.0 in the template (the only one)."""
    return next((site / ".updater/backups").iterdir())


def _in_point(name: str) -> Callable[[Path], Path]:
    return lambda site: newest_point(site) / name


def _in_site(name: str) -> Callable[[Path], Path]:
    return lambda site: site / name


def _exported(site: Path) -> Path:
    return site.parent / "exported.zip"


FILES: Mapping[str, Callable[[Path], Path]] = {
    "updater.toml": _in_site("updater.toml"),
    "site.json": _in_site(".updater/site.json"),
    "manifest.json": _in_site(".updater/manifest.json"),
    "root.json": _in_site(".updater/root.json"),
    "sequences.json": _in_site(".updater/sequences.json"),
    "journal": _in_site(".updater/journal"),
    "lock": _in_site(".updater/lock"),
    "status.json": _in_site(".updater/status.json"),
    "history.jsonl": _in_site(".updater/history.jsonl"),
    "trust": _in_site(".updater/trust"),
    "trust lock": _in_site(".updater/trust/lock"),
    "last_good.json": _in_site(".updater/trust/last_good.json"),
    "trust root": _in_site(".updater/trust/metadata/root.json"),
    "trust timestamp": _in_site(".updater/trust/metadata/timestamp.json"),
    "trust snapshot": _in_site(".updater/trust/metadata/snapshot.json"),
    "trust targets": _in_site(".updater/trust/metadata/targets.json"),
    "trust stable": _in_site(".updater/trust/metadata/stable.json"),
    "trust feeds": _in_site(".updater/trust/feeds"),
    "backups": _in_site(".updater/backups"),
    "staging": _in_site(".updater/staging"),
    "downloads": _in_site(".updater/downloads"),
    "bin": _in_site(".updater/bin"),
    "restore_point.json": _in_point("restore_point.json"),
    "saved manifest": _in_point("manifest.json"),
    "saved file": _in_point("files/manage.py"),
    "live file": _in_site("shop/a.py"),
    "live folder": _in_site("shop"),
    "exported.zip": _exported,
}


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def _bytes(data: bytes | Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        before = path.read_bytes() if path.is_file() else b""
        _remove(path)
        path.write_bytes(data(before) if callable(data) else data)

    return damage


def _huge(path: Path) -> None:
    _remove(path)
    with path.open("wb") as file:
        file.truncate(20 << 30)  # sparse: costs nothing on disk, everything when it is read as a whole


def _instead(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        _remove(path)
        make(path)

    return damage


def _unreadable(path: Path) -> None:
    path.chmod(0)


CORRUPTIONS: Mapping[str, Callable[[Path], None]] = {
    "missing": _remove,
    "empty": _bytes(b""),
    "truncated": _bytes(lambda data: data[: len(data) // 2]),
    "one byte changed": _bytes(lambda data: data[:40] + b"\x00" + data[41:]),
    "binary": _bytes(bytes(range(256)) * 8),
    "a list": _bytes(b"[]\n"),
    "null": _bytes(b"null\n"),
    "an empty object": _bytes(b"{}\n"),
    "nested without end": _bytes(b"[" * 200_000),
    "wrong types": _bytes(
        b'{"format": 1, "schema": "1.0", "app": [], "component": {}, "layout": [], "site_id": 5, "version": {"x": 1},'
        b' "files": {"a": 1}, "saved": [1], "added": 5, "created": 7, "stable": "x", "signed": [], "signatures": 1,'
        b' "pid": "x", "phase": {}, "percent": "x", "at": [], "event": {}, "warnings": 5, "versions": []}\n'
    ),
    "a lone surrogate": _bytes(b'{"format": 1, "app": "\\ud800", "state": "\\ud800", "event": "\\ud800\\u001b[31m"}\n'),
    "huge": _huge,
    "a symlink loop": _instead(lambda path: path.symlink_to(path.name)),
    "a dangling symlink": _instead(lambda path: path.symlink_to("does-not-exist")),
    "a directory": _instead(lambda path: path.mkdir()),
    "a pipe": _instead(os.mkfifo),
    "/dev/zero": _instead(lambda path: path.symlink_to("/dev/zero")),
    "unreadable": _unreadable,
}

VERBS: tuple[tuple[str, ...], ...] = (
    ("check",),
    ("check", "--json"),
    ("update", "--yes"),
    ("update", "--dry-run", "--json"),
    ("rollback", "--yes"),
    ("rollback", "--dry-run"),
    ("rollback", "EXPORTED", "--yes"),
    ("recover",),
    ("verify",),
    ("verify", "--json"),
    ("history",),
    ("history", "--json"),
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("backup", "list"),
    ("backup", "list", "--json"),
    ("backup", "export", "1.0.0", "OUTPUT"),
    ("backup", "delete", "1.0.0", "--yes"),
)
