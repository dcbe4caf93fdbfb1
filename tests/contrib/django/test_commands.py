"""The management commands: when they ask, what they install, what they print, and their exit codes."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.contrib.django.site import TestSite, package
from tests.support.require import require
from updater.contrib.django.checked import read_checked
from updater.contrib.django.management.commands.update_schedule import UNITS
from updater.contrib.django.models import AvailableUpdate, UpdateLog, UpdateSettings


def run(*words: str, **options) -> tuple[int, str]:
    """Exit code and output."""
    out = io.StringIO()
    try:
        call_command(*words, stdout=out, stderr=out, **options)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def age(site: TestSite, by: timedelta) -> None:
    """Make the last check older."""
    path = site.folder.check_path
    known = json.loads(path.read_text())
    for checked in known["components"].values():
        at = datetime.now(UTC) - by
        checked["at"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    path.write_text(json.dumps(known))


def requests(site: TestSite) -> int:
    return len(site.server.requests)


def test_it_asks_as_often_as_the_settings_say(site, db):
    assert run("check_updates")[0] == 0
    asked = requests(site)
    assert run("check_updates") == (0, "")
    assert requests(site) == asked
    age(site, timedelta(days=1))
    assert "1.1.0 is available" in run("check_updates")[1]
    assert requests(site) > asked
    UpdateSettings.objects.update(auto_check=False)
    age(site, timedelta(days=400))
    assert run("check_updates") == (0, "")
    assert "1.1.0 is available" in run("check_updates", "--force")[1]


@pytest.mark.parametrize(("critical", "installed"), [(True, "1.1.0"), (False, "1.0.0")])
def test_it_installs_what_the_settings_allow(site, db, critical, installed):
    UpdateSettings.objects.update_or_create(pk=1, defaults={"auto_install_critical": True})
    site.publisher.change("1.1.0", critical=critical)
    code, output = run("check_updates", "--force", "--auto-install")
    assert code == 0, output
    assert site.version == installed
    assert ("Not installed: The settings do not let non-critical updates" in output) is not critical


def test_it_does_not_install_what_was_skipped(site, db):
    UpdateSettings.objects.update_or_create(pk=1, defaults={"auto_install": True})
    site.folder.write_skipped({"core": {"1.1.0": {"actor": "ada"}}})
    assert "A person decided to skip" in run("check_updates", "--force", "--auto-install")[1]
    assert site.version == "1.0.0"


def test_an_installation_that_fails_ends_with_the_code_of_the_engine(site, db):
    UpdateSettings.objects.update_or_create(pk=1, defaults={"auto_install": True})
    site.publisher.publish(package("1.1.0", files={"fail": b""}))
    code, output = run("check_updates", "--force", "--auto-install")
    assert code == 3, output
    assert site.version == "1.0.0"
    call_command("update_status", "--sync", stdout=io.StringIO())
    assert UpdateLog.objects.get(result="rolled-back").actor == "check_updates"


def test_a_feed_that_cannot_be_had_ends_with_8_or_7(site, db):
    (site.path / "updater.toml").write_text(
        (site.path / "updater.toml").read_text().replace("stable.json", "beta.json")
    )
    code, output = run("check_updates", "--force")
    assert code in (7, 8), output
    assert read_checked(site.folder)["core"].error is not None


def test_a_component_that_the_site_does_not_have_is_a_wrong_argument(site, db):
    assert run("check_updates", "--component", "shipping")[0] == 2
    assert run("update_status", "--component", "core")[0] == 0


def test_status_says_what_waits(site, db):
    assert "available    nothing" in run("update_status")[1]
    run("check_updates", "--force")
    assert "available    1.1.0" in run("update_status")[1]
    found = json.loads(run("update_status", "--json")[1])
    assert (found["installed_version"], found["available"], found["channel"]) == ("1.0.0", ["1.1.0"], "stable")


def test_sync_fills_the_tables(site, db):
    run("check_updates", "--force")
    AvailableUpdate.objects.all().delete()
    run("update_status", "--sync")
    assert AvailableUpdate.objects.get().version == "1.1.0"


def test_rollback_is_the_engines_own(site, db, capfd):
    assert run("update_rollback", "--yes")[0] == 6  # there is no restore point yet
    site.updater.install(site.updater.plan("1.1.0"))
    assert run("update_rollback", "--yes")[0] == 0
    assert site.version == "1.0.0"
    assert "Done: 1.0.0 is installed." in capfd.readouterr().out


def test_without_a_site_the_commands_say_so(db, tmp_path):
    with override_settings(BASE_DIR=tmp_path):
        code, output = run("check_updates")
    assert code == 2
    assert "Set UPDATER_SITE" in output


def test_cron_lines_keep_to_the_form_of_crontab(shared_site, db):
    for every, pattern in (
        ("six-hourly", r"\d+ \*/6 \* \* \*"),
        ("daily", r"\d+ 2 \* \* \*"),
        ("weekly", r"\d+ 3 \* \* 1"),
        ("monthly", r"\d+ 3 1 \* \*"),
    ):
        output = run("update_schedule", "--every", every)[1]
        assert re.search(rf"(?m)^{pattern} cd .* check_updates --auto-install --notify$", output), output


@pytest.mark.parametrize("place", ["plain", "with a space and 100%"])
def test_systemd_takes_the_units(site, db, tmp_path, place):
    """`systemd-analyze verify` finds nothing to complain about, also in paths with spaces and specifiers."""
    analyze = require("systemd-analyze", "systemd")
    units = tmp_path / "units"
    units.mkdir()
    moved = tmp_path / place / "site"
    moved.parent.mkdir()
    shutil.copytree(site.path, moved)
    with override_settings(UPDATER_SITE=str(moved)):
        for every in ("six-hourly", "daily", "weekly", "monthly"):
            run("update_schedule", "--systemd", "--user", "root", "--every", every, "--write-to", str(units))
            words = [analyze, "verify", "--man=no", *(str(units / name) for name in UNITS)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            ours = [line for line in done.stderr.splitlines() if str(units) in line or "updater-" in line]
            assert ours == []
            assert done.returncode == 0, done.stderr
    assert "$" not in "".join(Path(units / name).read_text() for name in UNITS)


# system checks


def found(*, deploy: bool = False) -> set[str]:
    tags = ["updates", "security"] if deploy else ["updates"]
    ids = {message.id for message in checks.run_checks(tags=tags, include_deployment_checks=deploy)}
    return {name for name in ids if name is not None and name.startswith("updates.")}


def test_a_good_setup_has_nothing_to_complain_about(shared_site, db):
    assert found() == set()


def test_what_is_wrong_with_a_setup_is_told(shared_site, tmp_path, db):
    with override_settings(UPDATER_SITE=None, BASE_DIR=tmp_path):
        assert found() == {"updates.W004"}
    with override_settings(UPDATER_RUNNER="threads"):
        assert found() == {"updates.E001"}
    with override_settings(UPDATER_NOTICE_HOOKS=["no.such.hook"], UPDATER_PINNED={"nothing": 1}):
        assert found() == {"updates.E002", "updates.E003"}
    with override_settings(UPDATER_RUNNER="no.such.runner"):
        assert found() == {"updates.E002"}
    (tmp_path / "updater.toml").write_text("[feed]\nurl = 5\n")
    (tmp_path / ".updater").mkdir()
    with override_settings(UPDATER_SITE=str(tmp_path)):
        assert found() == {"updates.E004"}


def test_hints_for_a_site_with_visitors(site, db, monkeypatch):
    monkeypatch.setenv("INVOCATION_ID", "0")
    hints = {"updates.W010", "updates.W011", "updates.W012", "updates.W013", "updates.W015"}
    assert hints <= found(deploy=True)
    site.config('[alert]\ncommand = ["tell"]\n[restart]\ntouch = "restart"\n[health]\ncommand = ["true"]\n')
    with override_settings(UPDATER_RUNNER="systemd-path", UPDATER_REAUTHENTICATE=True):
        assert hints & found(deploy=True) == set()
