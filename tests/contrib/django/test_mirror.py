"""The tables mirror the files: once, again, after a restored database, and with damaged files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contrib.django.site import TestSite, package
from updater.contrib.django import signals
from updater.contrib.django.checked import perform_check, read_checked
from updater.contrib.django.looking import look, read_view
from updater.contrib.django.mirror import leave_view, sync
from updater.contrib.django.models import AvailableUpdate, UpdateCheck, UpdateLog, UpdateNotification
from updater.contrib.django.runs.record import RunRecord
from updater.contrib.django.runs.request import Request
from updater.errors import UpdaterError
from updater.site import append_history

NOW = datetime.now(UTC).replace(microsecond=0)


def check(site: TestSite):
    return perform_check(site.updater, site.folder, datetime.now(UTC))


def everything() -> list:
    """All rows but their numbers and what a look at the clock puts in."""
    left_out = {"id", "found_at"}
    return [
        {key: value for key, value in row.items() if key not in left_out}
        for model in (UpdateCheck, UpdateLog, AvailableUpdate, UpdateNotification)
        for row in model.objects.order_by("pk").values()
    ]


@pytest.fixture
def busy_site(site, db) -> TestSite:
    """A site with a past: an update that failed, one that did not, and one that waits."""
    site.publisher.publish(package("1.0.1", files={"fail": b""}))
    with pytest.raises(UpdaterError):
        site.updater.install(site.updater.plan("1.0.1"))
    site.publisher.publish(package("1.0.1"))
    site.updater.install(site.updater.plan("1.0.1"))
    check(site)
    return site


def test_a_sync_is_idempotent(busy_site):
    sync()
    first = everything()
    assert {row["result"] for row in UpdateLog.objects.values()} == {"done", "rolled-back"}
    assert UpdateLog.objects.filter(event="install").count() == 1
    assert AvailableUpdate.objects.get().version == "1.1.0"
    sync()
    assert everything() == first


def test_a_restored_database_is_healed_by_the_next_sync(busy_site):
    sync()
    before = sorted(map(str, everything()))
    UpdateLog.objects.all().delete()
    UpdateCheck.objects.all().delete()
    AvailableUpdate.objects.all().delete()
    UpdateNotification.objects.all().delete()
    sync()
    assert len(everything()) == len(before)
    assert sorted(UpdateLog.objects.values_list("result", flat=True)) == ["done", "done", "rolled-back"]


def test_who_asked_is_found_again_in_the_record_of_the_run(busy_site):
    entry = next(entry for entry in reversed(busy_site.updater.history()) if entry["event"] == "update")
    asked = Request.new("update", "1.0.1", actor="grace", address="192.0.2.9", now=NOW)
    record = RunRecord.from_json(RunRecord.of(asked).to_json() | {"state": "done", "outcome": entry["id"]})
    busy_site.folder.write_record(record)
    sync()
    log = UpdateLog.objects.get(run=asked.id)
    assert (log.actor, log.address, log.event, log.result) == ("grace", "192.0.2.9", "update", "done")
    assert UpdateLog.objects.filter(event="update").count() == 2  # not one more for the run


def test_a_run_that_never_came_so_far_is_in_the_log(site, db):
    asked = Request.new("update", "1.1.0", actor="grace", now=NOW)
    values = {"state": "blocked", "exit_code": 6, "message": "Held back.", "why": "The rollout.", "ended_at": None}
    site.folder.prepare()
    site.folder.write_record(RunRecord.from_json(RunRecord.of(asked).to_json() | values))
    sync()
    log = UpdateLog.objects.get(run=asked.id)
    assert (log.result, log.reason, log.to_version) == ("blocked", "Held back.\nThe rollout.", "1.1.0")


def test_an_update_on_the_command_line_takes_the_offer_away(busy_site):
    sync()
    busy_site.updater.install(busy_site.updater.plan("1.1.0"))
    sync()
    assert not AvailableUpdate.objects.exists()
    assert UpdateLog.objects.filter(to_version="1.1.0", result="done").count() == 1


def test_a_skip_is_kept_on_the_disk(busy_site):
    busy_site.folder.write_skipped({"core": {"1.1.0": {"actor": "ada", "at": "2026-01-20T10:00:00Z"}}})
    sync()
    assert AvailableUpdate.objects.get().skipped
    AvailableUpdate.objects.all().delete()
    sync()
    assert AvailableUpdate.objects.get().skipped
    assert not UpdateNotification.objects.filter(kind="available").exists()


def test_a_check_that_fails_keeps_what_the_last_good_one_found(busy_site):
    text = (busy_site.path / "updater.toml").read_text()
    (busy_site.path / "updater.toml").write_text(text.replace("stable.json", "beta.json"))  # there is none
    before = read_checked(busy_site.folder)["core"]
    with pytest.raises(UpdaterError):
        check(busy_site)
    after = read_checked(busy_site.folder)["core"]
    assert (after.version, after.at) == (before.version, before.at)
    assert after.error is not None
    sync()
    assert UpdateCheck.objects.exclude(error="").count() == 1
    assert AvailableUpdate.objects.get().version == "1.1.0"


def test_signals_are_sent_once_and_not_for_the_past(busy_site):
    heard = []
    handlers = {
        "available": lambda **named: heard.append(("available", named["update"].version)),
        "installed": lambda **named: heard.append(("installed", named["log"].to_version)),
        "failed": lambda **named: heard.append(("failed", named["log"].to_version)),
    }
    signals.update_available.connect(handlers["available"])
    signals.update_installed.connect(handlers["installed"])
    signals.update_failed.connect(handlers["failed"])
    sync()
    assert sorted(heard) == [
        ("available", "1.1.0"),
        ("failed", "1.0.1"),
        ("installed", "1.0.0"),
        ("installed", "1.0.1"),
    ]
    sync()
    assert len(heard) == 4
    heard.clear()
    UpdateLog.objects.all().delete()
    sync(now=datetime.now(UTC) + timedelta(days=30))
    assert heard == []


def test_a_receiver_that_fails_stops_nothing(busy_site):
    def fail(**_named):
        raise RuntimeError("broken")

    signals.update_installed.connect(fail)
    sync()
    assert UpdateLog.objects.exists()


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"components": {"core": {"tried_at": 5}}}', b"\xff", b"null"])
def test_damaged_documents_are_none(busy_site, damage):
    leave_view()
    for path in (busy_site.folder.check_path, busy_site.folder.view_path, busy_site.folder.skipped_path):
        path.write_bytes(damage)
    assert read_checked(busy_site.folder) == {}
    assert read_view(busy_site.folder) is None
    assert busy_site.folder.skipped() == {}
    sync()
    assert not AvailableUpdate.objects.exists()


def test_hostile_history_cannot_break_a_table(busy_site):
    lines = [
        {"at": "2026-01-20T10:00:00Z", "event": "update", "id": "x" * 500, "result": "y" * 99, "from": "z" * 500},
        {"at": "never", "event": "update"},
        {"event": "check"},
        {"at": "2026-01-20T10:00:00Z", "event": "check", "available": ["1"], "installed": {"a": "\0"}},
        {"at": "2026-01-20T10:00:00Z", "event": "update", "warnings": "no list", "edited": [1, None], "reason": "a\0b"},
    ]
    with busy_site.site.history_path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    sync()
    sync()
    assert UpdateLog.objects.filter(at=datetime(2026, 1, 20, 10, tzinfo=UTC)).count() == 2


def test_a_view_survives_being_written_down(busy_site):
    seen = look(busy_site.site, NOW)
    assert leave_view(now=NOW) == seen
    assert read_view(busy_site.folder) == seen
    assert seen.point is not None and seen.point.version == "1.0.0"


def test_the_dashboard_says_what_the_maintainer_says_about_the_installed_version(site, admin):
    from updater.schema.feed import Advisory

    bad = Advisory("CVE-2026-1", "high", "<1.1", "anybody can <read> orders", datetime.now(UTC).replace(microsecond=0))
    bad = replace(bad, workaround="Turn it off.", url="more.html")
    site.publisher.set_releases(list(site.publisher.feeds["stable"].releases), advisories=(bad,))
    check(site)
    page = admin.get("/admin/updates/availableupdate/").content.decode()
    assert "1.0.0 should not run: anybody can &lt;read&gt; orders (CVE-2026-1, high)." in page
    assert "Fixed in 1.1.0." in page and "Turn it off." in page
    assert "More about it" not in page  # only https is linked to


def test_an_update_of_a_plugin_is_told_as_the_plugins(busy_site):
    def record(at: int, *changes: dict[str, object]) -> UpdateLog:
        path = busy_site.updater.site.history_path
        moment = NOW + timedelta(seconds=at)
        told = {"id": f"20300101-00000{at}-000000", "result": "done", "from": "1.0.1", "to": "1.0.1"}
        append_history(path, moment, "update", **told, components=list(changes))
        sync()
        return UpdateLog.objects.get(key=f"update:{told['id']}")

    theme = {"component": "dark", "from": "1.0.0", "to": "2.0.0"}
    row = record(1, theme)
    assert (row.component, row.from_version, row.to_version) == ("dark", "1.0.0", "2.0.0")
    row = record(2, {"component": "core", "from": "1.0.1", "to": "1.1.0"}, theme)
    assert (row.component, row.to_version) == ("core", "1.1.0")
    assert record(3, {"component": ["dark"], "from": 1}).from_version == "1"
