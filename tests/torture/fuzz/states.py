"""Targets: what lies in the state directory between two updates, which a failing disk or a careless hand may have
changed. What an update writes to be undone is in `transactions`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.version import Version

from tests.torture.fuzz.documents import NOW, must_be_a_name
from tests.torture.fuzz.mutations import byte_level, mostly
from tests.torture.fuzz.structured import json_document, json_lines
from tests.torture.fuzz.target import Target, Wrong
from updater.cli.look import _entry_line, _running_text
from updater.contrib.maintenance.flag import is_on, read_flag
from updater.doctor.facts import Facts
from updater.doctor.local import working_process
from updater.errors import LockedError, SchemaError, StateError
from updater.events import ignore_events
from updater.feeds import _read_sequences
from updater.install.recovery import _close_probation
from updater.schema.licenses import License, Sealed
from updater.schema.site_config import MaintenanceConfig
from updater.site import Site, read_history, read_status
from updater.site.failed_releases import Attempt, held_back, read_failures, record_failure
from updater.site.lock import _locked, boot_id, read_holder
from updater.site.maintenance import MaintenanceFlag
from updater.trust.feed import Freshness
from updater.trust.storage import read_record

__all__ = ["TARGETS"]

_json: Any = mostly((9, json_document), (2, byte_level))


def _file(name: str, read: Callable[[Site, Path], None]) -> Callable[[Path], Callable[[bytes], None]]:
    def open_in(folder: Path) -> Callable[[bytes], None]:
        site = Site(folder)
        path = site.directory / name
        path.parent.mkdir(parents=True)

        def work(data: bytes) -> None:
            path.write_bytes(data)
            read(site, path)

        return work

    return open_in


def _site(site: Site, path: Path) -> None:
    state = site.state()
    if state.version is not None:
        Version(state.version)
    must_be_a_name(state.app)
    json.dumps(state.__dict__, allow_nan=False)


def _history(site: Site, path: Path) -> None:
    for entry in read_history(path):
        _entry_line(entry)
        json.dumps(entry, allow_nan=False)


def _status(site: Site, path: Path) -> None:
    found = read_status(path)
    _running_text(found)
    json.dumps(found, allow_nan=False)


def _lock(site: Site, path: Path) -> None:
    read_holder(path)
    working_process(Facts(site, NOW, {}))
    raise _locked(path)


def _failures(site: Site, path: Path) -> None:
    for attempts in read_failures(path).values():
        held_back(attempts, NOW)
    record_failure(path, "1.1.0", Attempt("20260201-000000-000001", NOW, "it failed"))
    if read_failures(path)["1.1.0"][-1].reason != "it failed" and b"20260201" not in path.read_bytes():
        raise Wrong("a failure was not remembered")


def _maintenance(folder: Path) -> Callable[[bytes], None]:
    """The flag is read by the updater, and by whatever answers visitors."""
    config = MaintenanceConfig(file="flag.json")
    path = folder / "flag.json"

    def work(data: bytes) -> None:
        path.write_bytes(data)
        flag = read_flag(data, NOW.timestamp())
        is_on(flag, NOW.timestamp(), 5.0)
        if flag.lets_through("guess") and b"probe_sha256" not in data:
            raise Wrong("lets a guess through")
        json.dumps([flag.retry_after, flag.message, flag.until], allow_nan=False)
        updater = MaintenanceFlag.of(folder, config)
        if not updater.raise_flag(NOW):
            raise Wrong("no token")
        updater.extend(NOW)
        updater.lower()
        if path.exists():
            raise Wrong("the page stays on")

    return work


def _probation(site: Site, path: Path) -> None:
    _close_probation(site, ignore_events, lambda: NOW)
    for entry in read_history(site.history_path):
        _entry_line(entry)
    site.history_path.unlink(missing_ok=True)


def _last_good(site: Site, path: Path) -> None:
    found = read_record(path.parent)
    if found is not None:
        str(Freshness("stale", "", found.at))
        must_be_a_name(f"{found.sha256}.json")
        if any(type(version) is not int for version in found.versions.values()):
            raise Wrong("versions")


_LICENSE = Sealed(License("L-1", "shop", "ACME", NOW, NOW, ("stable",), ("core",)).to_bytes(), "ab" * 64)


def _license(data: bytes) -> None:
    try:
        found = License.parse(data)
    except SchemaError:
        found = License.parse(Sealed.parse(data).payload)
    if License.parse(found.to_bytes()) != found:
        raise Wrong(f"{found} is not what it says")


def _sequences(site: Site, path: Path) -> None:
    for channel, number in _read_sequences(path).items():
        if type(number) is not int or not isinstance(channel, str):
            raise Wrong(f"{channel!r}: {number!r}")


TARGETS = [
    Target(
        "site-json",
        "site.json",
        lambda: [
            b'{"format": 1, "app": "shop", "component": "core", "layout": "slots", "site_id": "0f", "version": "1.0.0"}'
        ],
        _json,
        _file("site.json", _site),
        (StateError,),
        20_000,
    ),
    Target(
        "history",
        "history.jsonl",
        lambda: [
            b'{"at": "2026-01-20T10:00:00Z", "event": "check", "available": "1.1.0", "feed": "fresh"}\n'
            b'{"at": "2026-01-20T10:00:00Z", "event": "update", "from": null, "to": "1.1.0", "warnings": ["x"]}\n'
        ],
        mostly((4, json_lines), (1, byte_level)),
        _file("history.jsonl", _history),
        (),
        20_000,
    ),
    Target(
        "status",
        "status.json",
        lambda: [
            b'{"state": "running", "pid": 1, "boot_id": "%b", "phase": "install", "percent": 5, "message": "m"}'
            % boot_id().encode()
        ],
        _json,
        _file("status.json", _status),
        (),
        15_000,
    ),
    Target(
        "lock",
        "the lock file",
        lambda: [
            json.dumps({"pid": 1, "boot_id": boot_id(), "since": 1}).encode(),
            b'{"pid": 1, "boot_id": "", "since": 1}',
        ],
        _json,
        _file("lock", _lock),
        (LockedError,),
        15_000,
    ),
    Target(
        "failed-releases",
        "failed.json",
        lambda: [
            b'{"format": 1, "releases": {"1.1.0": [{"id": "20260120-100000-000000", "at": "2026-01-31T23:30:00Z",'
            b' "reason": "x"}], "1.2.0": []}}'
        ],
        _json,
        _file("failed.json", _failures),
        (),
        10_000,
    ),
    Target(
        "maintenance-flag",
        "the flag of the maintenance page",
        lambda: [
            b'{"schema": "1.0", "since": "2026-01-31T23:59:00Z", "written": "2026-01-31T23:59:00Z", "until": null,'
            b' "retry_after": 60, "probe_sha256": "' + b"a" * 64 + b'", "message": "back soon"}',
            b"",
        ],
        _json,
        _maintenance,
        (StateError,),
        10_000,
    ),
    Target(
        "probation",
        "the record of a release on probation",
        lambda: [b'{"format": 1, "id": "20260120-100000-000000", "from": "1.0.0", "to": "1.1.0"}'],
        _json,
        _file("probation.json", _probation),
        (),
        5_000,
    ),
    Target(
        "last-good",
        "the record of the last good feed",
        lambda: [
            b'{"schema": 1, "channel": "stable", "sha256": "' + b"a" * 64 + b'", "at": "2026-01-20T10:00:00+00:00",'
            b' "versions": {"root": 1, "stable": 3}, "online_keys": ["ab"]}'
        ],
        _json,
        _file("trust/last_good.json", _last_good),
        (StateError,),
        15_000,
    ),
    Target(
        "license",
        "a licence file, and the licence in it",
        lambda: [_LICENSE.to_bytes(), _LICENSE.payload],
        _json,
        lambda _folder: _license,
        (SchemaError,),
        10_000,
    ),
    Target(
        "sequences",
        "the highest feed sequences seen",
        lambda: [b'{"stable": 7, "beta": 9}'],
        _json,
        _file("sequences.json", _sequences),
        (StateError,),
        10_000,
    ),
]
