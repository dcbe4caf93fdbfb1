"""Hostile inputs that are kept: the state directory, after a bad disk or a careless hand (see `kept.py`)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from tests.torture.fuzz.kept_documents import Case, edited
from tests.torture.fuzz.transactions import ID

__all__ = ["CASES"]

DIGEST = "ab" * 32
OLD: dict[str, Any] = {
    "kind": "file",
    "sha256": DIGEST,
    "size": 5,
    "mode": 0o644,
    "inode": 7,
    "mtime_ns": 1,
    "symlink": None,
}
NEW: dict[str, Any] = {
    "path": "app/a.py",
    "sha256": DIGEST,
    "size": 5,
    "mode": 0o644,
    "symlink": None,
    "extra": {},
}
CHANGE: dict[str, Any] = {"path": "app/a.py", "action": "replace", "new": NEW, "old": OLD, "edited": False}
PLAN: dict[str, Any] = {
    "id": ID,
    "purpose": "update",
    "layout": "in-place",
    "created": "2026-01-20T10:00:00Z",
    "from_version": "1.0.0",
    "to_version": "1.1.0",
    "changes": [CHANGE],
    "commands": [],
    "preserve": [],
    "edited": [],
    "kept": [],
    "restore": None,
    "slot": None,
    "old_slot": None,
}
POINT: dict[str, Any] = {
    "id": ID,
    "created": "2026-01-20T10:00:00Z",
    "layout": "in-place",
    "version": "1.0.0",
    "replaced_by": "1.1.0",
    "saved": [{"path": "app/a.py", "sha256": DIGEST, "size": 10, "mode": 0o644, "symlink": None, "edited": False}],
    "added": ["new.py"],
    "database": None,
    "slot": None,
    "format": 1,
}
SITE: dict[str, Any] = {
    "format": 1,
    "app": "shop",
    "component": "core",
    "layout": "slots",
    "site_id": "0f",
    "version": "1.0.0",
}
GOOD: dict[str, Any] = {
    "schema": 1,
    "channel": "stable",
    "sha256": DIGEST,
    "at": "2026-01-20T10:00:00+00:00",
    "versions": {"root": 1},
    "online_keys": ["ab"],
}
BACKUP: dict[str, Any] = {
    "kind": "sqlite",
    "files": [{"name": "db", "size": 1, "sha256": DIGEST}],
    "created_by": "x",
    "absent": False,
}
FAILED: dict[str, Any] = {
    "format": 1,
    "releases": {"1.1.0": [{"id": ID, "at": "2026-01-31T23:30:00Z", "reason": "x"}]},
}


def _line(body: bytes, *, checksum: bytes | None = None) -> bytes:
    return (b"%08x" % zlib.crc32(body) if checksum is None else checksum) + b" " + body + b"\n"


def _begun(**more: object) -> bytes:
    return _line(json.dumps({"id": ID, "state": "prepared", "format": 1, **more}).encode())


def _then(**fields: object) -> bytes:
    return _begun() + _line(json.dumps({"id": ID, "state": "applying", **fields}).encode())


_JOURNAL: dict[str, Case] = {
    "empty": (b"", "accepted"),
    "zeros": (b"\0" * 4096, "StateError: not one whole record"),
    "torn-at-its-end": (_begun() + _begun()[:20], "accepted"),
    "zeros-after-its-end": (_begun() + b"\0" * 512, "accepted"),
    "damaged-in-the-middle": (_begun() + _line(b"{}", checksum=b"00000000") + _begun(), "StateError: in the middle"),
    "checksum-in-capitals": (_begun().upper() + _begun(), "StateError: in the middle"),
    "format-from-the-future": (_line(b'{"id": "x", "state": "prepared", "format": 2}'), "StateError: format 2"),
    "format-with-a-terminal-escape": (
        _line(b'{"id": "x", "state": "prepared", "format": "\\u001b[31m"}'),
        "StateError: \\x1b[31m",
    ),
    "state-unknown": (_then(state="exploding"), "StateError: does not know"),
    "state-is-a-list": (_then(state=[]), "StateError: does not know"),
    "id-missing": (_begun() + _line(b'{"state": "applying"}'), "StateError: does not know"),
    "id-is-a-number": (_then(id=7), "StateError: does not know"),
    "id-leaves-its-folder": (_then(id="../../etc"), "StateError: cannot be the name"),
    "id-is-the-parent-folder": (_then(id=".."), "StateError: cannot be the name"),
    "id-is-empty": (_then(id=""), "StateError: cannot be the name"),
    "record-is-a-list": (_begun() + _line(b"[]"), "StateError: does not know"),
    "record-is-no-json": (_begun() + _line(b"{"), "StateError: does not know"),
    "record-nested-3000-deep": (_begun() + _line(b"[" * 3000), "StateError: does not know"),
    "record-with-nan": (_begun() + _line(b'{"id": "x", "state": "applying", "x": NaN}'), "StateError: NaN"),
    "record-not-utf-8": (_begun() + _line(b'{"id": "\xff", "state": "applying"}'), "StateError: does not know"),
}


def _plan(edit: Callable[[dict[str, Any]], object], expected: str) -> Case:
    return edited(PLAN, edit), f"StateError: {expected}"


def _change(change: dict[str, Any], expected: str) -> Case:
    return _plan(lambda plan: plan["changes"][0].update(change), expected)


_PLAN: dict[str, Case] = {
    "empty": (b"", "StateError: cannot be read"),
    "a-list": (b"[]", "StateError: not an object"),
    "nested-3000-deep": (b"[" * 3000, "StateError: nested"),
    "of-another-update": _plan(lambda plan: plan.update(id="20250101-000000-000000"), "it is the plan of"),
    "id-is-a-path": _plan(lambda plan: plan.update(id="../x"), "not the name of a directory"),
    "layout-unknown": _plan(lambda plan: plan.update(layout="flat"), "must be one of"),
    "purpose-unknown": _plan(lambda plan: plan.update(purpose="destroy"), "must be one of"),
    "created-is-a-number": _plan(lambda plan: plan.update(created=5), "must be a string"),
    "version-is-a-path": _plan(lambda plan: plan.update(to_version="../x"), "normal form"),
    "slot-leaves-its-folder": _plan(lambda plan: plan.update(slot="../../home"), "not the name of a directory"),
    "old-slot-is-the-parent-folder": _plan(lambda plan: plan.update(old_slot=".."), "not the name of a directory"),
    "slot-of-300-letters": _plan(lambda plan: plan.update(slot="a" * 300), "not the name of a directory"),
    "changes-missing": _plan(lambda plan: plan.pop("changes"), "is missing"),
    "changes-of-numbers": _plan(lambda plan: plan.update(changes=[1, 2]), "must be an object"),
    "commands-of-numbers": _plan(lambda plan: plan.update(commands=[1]), "must be a string"),
    "path-leaves-the-site": _change({"path": "../../etc/passwd"}, "'..' segment"),
    "path-is-absolute": _change({"path": "/etc/passwd"}, "is absolute"),
    "path-is-the-journal": _change({"path": ".updater/journal"}, "belongs to the site"),
    "path-differs-from-the-new-file": _change({"path": "app/b.py"}, "not that of the change"),
    "path-with-a-terminal-escape": _change({"path": "\x1b[31m"}, "control character"),
    "action-unknown": _change({"action": "explode"}, "must be one of"),
    "replacement-without-a-new-file": _change({"new": None}, "does not go with"),
    "replacement-without-an-old-file": _change({"old": None}, "does not go with"),
    "deletion-with-a-new-file": _change({"action": "delete"}, "does not go with"),
    "mode-with-file-type": _change({"new": NEW | {"mode": 0o104755}}, "from 0 to 4095"),
    "mode-is-a-text": _change({"new": NEW | {"mode": "0644"}}, "whole number"),
    "size-negative": _change({"new": NEW | {"size": -5}}, "at least 0"),
    "inode-is-a-text": _change({"old": OLD | {"inode": "7"}}, "whole number"),
    "kind-unknown": _change({"old": OLD | {"kind": "socket"}}, "must be one of"),
    "symlink-is-a-number": _change({"old": OLD | {"symlink": 5}}, "must be a string"),
}


def _point(edit: Callable[[dict[str, Any]], object], expected: str) -> Case:
    return edited(POINT, edit), f"StateError: {expected}"


def _saved(change: dict[str, Any], expected: str) -> Case:
    return _point(lambda point: point["saved"][0].update(change), expected)


_POINT: dict[str, Case] = {
    "empty": (b"", "StateError: cannot be read"),
    "of-another-point": _point(lambda point: point.update(id="20250101-000000-000000"), "it is the record of"),
    "id-is-a-number": _point(lambda point: point.update(id=5), "must be a string"),
    "format-from-the-future": _point(lambda point: point.update(format=2), "another version of the updater"),
    "layout-unknown": _point(lambda point: point.update(layout="x"), "must be one of"),
    "version-is-a-list": _point(lambda point: point.update(version=["1.0.0"]), "must be a string"),
    "slot-is-the-whole-site": _point(lambda point: point.update(layout="slots", slot="."), "name of a directory"),
    "slot-is-another-folder": _point(lambda point: point.update(layout="slots", slot="../shared"), "name of a dir"),
    "added-leaves-the-site": _point(lambda point: point.update(added=["../../x"]), "'..' segment"),
    "added-is-a-text": _point(lambda point: point.update(added="abc"), "must be a list"),
    "saved-is-a-number": _point(lambda point: point.update(saved=5), "must be a list"),
    "saved-path-leaves-the-site": _saved({"path": "../../../etc/passwd"}, "'..' segment"),
    "saved-path-is-a-list": _saved({"path": ["a"]}, "must be a string"),
    "saved-size-is-a-text": _saved({"size": "beta"}, "whole number"),
    "saved-size-is-infinite": (
        edited(POINT, lambda point: None).replace(b'"size": 10', b'"size": 1e400'),
        "StateError: too large",
    ),
    "saved-mode-negative": _saved({"mode": -1}, "from 0"),
    "database-is-a-text": _point(lambda point: point.update(database="."), "must be an object"),
    "database-file-leaves-its-folder": _point(
        lambda point: point.update(database=BACKUP | {"files": [{"name": "../x", "size": 1, "sha256": DIGEST}]}),
        "name of a file",
    ),
    "unknown-key-with-nul": (edited(POINT, lambda point: point.update({"a\0b": 1})), "accepted"),
}


def _site(change: dict[str, Any], expected: str) -> Case:
    return edited(SITE, lambda site: site.update(change)), f"StateError: {expected}"


_SITE: dict[str, Case] = {
    "empty": (b"", "StateError: cannot be read"),
    "null": (b"null", "StateError: cannot be read"),
    "a-text": (b'"format"', "StateError: cannot be read"),
    "format-with-a-terminal-escape": _site({"format": "\x1b[31m"}, "\\x1b[31m"),
    "format-from-the-future": _site({"format": 2}, "has format 2"),
    "app-is-a-list": _site({"app": []}, "must be a string"),
    "app-is-the-parent-folder": _site({"app": ".."}, "must be 1 to 64"),
    "layout-unknown": _site({"layout": "Slots"}, "did you mean 'slots'"),
    "version-is-no-version": _site({"version": "core"}, "normal form"),
    "version-is-an-object": _site({"version": {"x": 1}}, "must be a string"),
    "site-id-of-5000-digits": _site({"site_id": "9" * 5000}, "at most 64"),
    "app-with-a-lone-surrogate": _site({"app": "\ud800"}, "surrogates not allowed"),
}

_HISTORY: dict[str, Case] = {
    "torn": (b'{"event": "check"}\n{"event": "upd', "accepted"),
    "values-of-any-kind": (
        b'{"at": [], "event": {"x": 1}, "warnings": {"a": 1}, "from": 5, "to": [[]], "result": null, "reason": 1}\n',
        "accepted",
    ),
    "lines-that-are-no-objects": (b'[]\n5\nnull\n"x"\n\n{}\n', "accepted"),
    "numbers-that-are-none": (b'{"at": NaN}\n{"at": 1e999}\n{"at": -Infinity}\n', "accepted"),
    "not-utf-8": (b'{"event": "\xff\xfe"}\n\xff\n', "accepted"),
    "nested-3000-deep": (b"[" * 3000 + b"\n" + b'{"at":' * 400 + b"1" + b"}" * 400, "accepted"),
    "lone-surrogate": (b'{"event": "\\ud800\\u001b[31m", "reason": "\\udcff"}\n', "accepted"),
}

_STATUS: dict[str, Case] = {
    "pid-is-a-text": (b'{"state": "running", "pid": "x"}', "accepted"),
    "pid-of-4000-digits": (b'{"state": "running", "pid": ' + b"9" * 4000 + b"}", "accepted"),
    "pid-negative": (b'{"state": "running", "pid": -1}', "accepted"),
    "state-is-a-list": (b'{"state": [1], "phase": {}, "percent": [], "message": 5, "heartbeat_at": {}}', "accepted"),
    "nan": (b'{"state": "running", "phase": NaN}', "accepted"),
    "a-list": (b"[]", "accepted"),
    "terminal-escape": (b'{"state": "\\u001b[2J", "message": "\\u202e"}', "accepted"),
}

_LOCK: dict[str, Case] = {
    "empty": (b"", "LockedError: Another updater"),
    "pid-is-a-text": (b'{"pid": "\\u001b[31m", "boot_id": "x", "since": 1}', "LockedError: Another updater"),
    "since-forever": (b'{"pid": 1, "boot_id": "x", "since": 1e300}', "LockedError: Another updater"),
    "since-is-nan": (b'{"pid": 1, "boot_id": "x", "since": "nan"}', "LockedError: Another updater"),
    "since-before-time": (b'{"pid": 1, "boot_id": "x", "since": -1e15}', "LockedError: Another updater"),
    "a-list": (b"[1]", "LockedError: Another updater"),
    "pid-of-4000-digits": (b'{"pid": ' + b"9" * 4000 + b', "boot_id": "x", "since": 1}', "LockedError: Another"),
}


def _good(change: dict[str, Any]) -> Case:
    return edited(GOOD, lambda good: good.update(change)), "StateError: is damaged"


_LAST_GOOD: dict[str, Case] = {
    "empty": (b"", "StateError: is damaged"),
    "a-list": (b"[]", "StateError: is damaged"),
    "versions-is-a-text": _good({"versions": "1.0"}),
    "versions-is-a-list": _good({"versions": []}),
    "version-is-infinite": (edited(GOOD, lambda good: None).replace(b'"root": 1', b'"root": 1e999'), "StateError: dam"),
    "version-is-a-list": _good({"versions": {"root": [1]}}),
    "at-without-zone": _good({"at": "2026-01-20T10:00:00"}),
    "at-before-the-calendar": _good({"at": "0001-01-01T00:00:00+23:59"}),
    "at-after-the-calendar": _good({"at": "9999-12-31T23:59:59-23:59"}),
    "digest-is-a-path": _good({"sha256": "../" * 20 + "abcd"}),
    "digest-in-other-letters": _good({"sha256": "é" * 64}),
    "nested-3000-deep": (b'{"versions": ' + b"[" * 3000, "StateError: is damaged"),
}

_SEQUENCES: dict[str, Case] = {
    "a-list": (b"[]", "StateError: cannot be read"),
    "infinite": (b'{"stable": 1e999}', "StateError: too large"),
    "a-constant": (b'{"stable": Infinity}', "StateError: not JSON"),
    "a-text": (b'{"stable": "7"}', "StateError: whole number"),
    "a-fraction": (b'{"stable": 7.9}', "StateError: whole number"),
    "null": (b'{"stable": null}', "StateError: whole number"),
    "nested-3000-deep": (b"[" * 3000, "StateError: nested"),
}

_FAILURES: dict[str, Case] = {
    "at-the-end-of-time": (
        edited(FAILED, lambda failed: failed["releases"]["1.1.0"][0].update(at="9999-12-31T23:59:59Z")),
        "accepted",
    ),
    "at-the-beginning-of-time": (
        edited(FAILED, lambda failed: failed["releases"]["1.1.0"][0].update(at="0001-01-01T00:00:00Z")),
        "accepted",
    ),
    "version-with-a-lone-surrogate": (
        edited(FAILED, lambda failed: failed["releases"].update({"\ud800": []})),
        "accepted",
    ),
    "reason-with-a-lone-surrogate": (
        edited(FAILED, lambda failed: failed["releases"]["1.1.0"][0].update(reason="\udcff")),
        "accepted",
    ),
    "releases-is-a-list": (edited(FAILED, lambda failed: failed.update(releases=[])), "accepted"),
    "attempts-100": (
        edited(FAILED, lambda failed: failed["releases"].update({"2.0": failed["releases"]["1.1.0"] * 100})),
        "accepted",
    ),
}


def _backup(change: dict[str, Any], expected: str) -> Case:
    return edited(BACKUP, lambda backup: backup.update(change)), expected


def _named(name: str) -> Case:
    return _backup({"files": [{"name": name, "size": 1, "sha256": DIGEST}]}, "SchemaError: name of a file")


_BACKUP: dict[str, Case] = {
    "of-another-kind": _backup({"kind": "postgresql"}, "DatabaseError: of the kind"),
    "kind-with-a-terminal-escape": _backup({"kind": "\x1b[31m"}, "DatabaseError: \\x1b[31m"),
    "file-of-another-digest": (edited(BACKUP, lambda backup: None), "DatabaseError: is damaged"),
    "file-is-missing": _backup({"files": [{"name": "x", "size": 1, "sha256": DIGEST}]}, "DatabaseError: cannot read"),
    "file-leaves-its-folder": _named("../db"),
    "file-is-the-folder": _named("."),
    "file-is-the-parent-folder": _named(".."),
    "file-with-a-backslash": _named("..\\db"),
    "file-of-300-letters": _backup(
        {"files": [{"name": "a" * 300, "size": 1, "sha256": DIGEST}]}, "DatabaseError: cannot read"
    ),
    "file-with-nul": _backup({"files": [{"name": "a\0b", "size": 1, "sha256": DIGEST}]}, "SchemaError: NUL"),
    "file-with-a-lone-surrogate": (  # not JSON that the target reads on with
        edited(BACKUP, lambda backup: backup.update(files=[{"name": "\ud800", "size": 1, "sha256": DIGEST}])),
        "accepted",
    ),
    "files-missing": _backup({"files": None}, "SchemaError: is null"),
    "absent-is-a-text": _backup({"absent": "no"}, "SchemaError: true or false"),
}

FLAG: dict[str, Any] = {
    "schema": "1.0",
    "since": "2026-01-31T23:59:00Z",
    "written": "2026-01-31T23:59:00Z",
    "until": None,
    "retry_after": 60,
    "probe_sha256": DIGEST,
    "message": "back soon",
}


def _flag(change: dict[str, Any]) -> Case:
    return edited(FLAG, lambda flag: flag.update(change)), "accepted"


_FLAG: dict[str, Case] = {
    "empty": (b"", "StateError: is not the updater's"),
    "somebody-elses": (b"down for maintenance\n", "StateError: is not the updater's"),
    "digest-in-other-letters": _flag({"probe_sha256": "é" * 64}),
    "digest-with-a-lone-surrogate": (
        edited(FLAG, lambda flag: flag.update(probe_sha256="\ud800")),
        "StateError: is not the updater's",
    ),
    "retry-after-forever": _flag({"retry_after": 10**300}),
    "retry-after-is-a-list": _flag({"retry_after": [60]}),
    "until-the-end-of-time": _flag({"until": "9999-12-31T23:59:59Z"}),
    "until-is-a-number": _flag({"until": 5}),
    "written-before-the-calendar": _flag({"written": "0001-01-01T00:00:00+23:59", "until": "0001-01-01T00:00:00Z"}),
    "message-is-an-object": _flag({"message": {"x": 1}}),
    "nested-3000-deep": (b"[" * 3000, "StateError: is not the updater's"),
}
_PROBATION: dict[str, Case] = {
    "a-list": (b"[1]", "accepted"),
    "values-of-any-kind": (b'{"id": [], "from": {"x": 1}, "to": "\\ud800\\u001b[31m"}', "accepted"),
    "nan": (b'{"id": NaN}', "accepted"),
}
_VOLUMES: dict[str, Case] = {
    "an-object": (b'{"media": 1}', "ValueError: not a list"),
    "a-text": (b'"media"', "ValueError: not a list"),
    "of-numbers": (b"[1, 2]", "ValueError: not a list"),
    "outside": (b'["../../home"]', "ValueError: '..' segment"),
    "absolute": (b'["/"]', "ValueError: is absolute"),
    "the-state-directory": (b'[".updater/backups"]', "ValueError: belongs to the site"),
    "the-site-itself": (b'[""]', "accepted"),
}

CASES: dict[str, dict[str, Case]] = {
    "maintenance-flag": _FLAG,
    "probation": _PROBATION,
    "volumes": _VOLUMES,
    "journal": _JOURNAL,
    "plan": _PLAN,
    "restore-point": _POINT,
    "site-json": _SITE,
    "history": _HISTORY,
    "status": _STATUS,
    "lock": _LOCK,
    "last-good": _LAST_GOOD,
    "sequences": _SEQUENCES,
    "failed-releases": _FAILURES,
    "database-record": _BACKUP,
}
