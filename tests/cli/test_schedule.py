"""Cron lines and units that systemd accepts, at a time of each site's own; installed and removed without a trace."""

from __future__ import annotations

import os
import subprocess
from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.require import require
from updater.schedule import Job, cron_lines, replace_block, units
from updater.schema.policy_config import OwnerPolicy, Window

ODD = Path("/srv/50 % off/$hop")


def job(policy: OwnerPolicy | None = None, *, path: Path = ODD, site_id: str = "a1", user: str = "") -> Job:
    return Job(("/usr/bin/python3", "-m", "updater"), path, "shop", site_id, policy or OwnerPolicy(), user)


@pytest.mark.parametrize("every", ["hourly", "daily"])
@pytest.mark.parametrize("user", ["", "www-data"])
@pytest.mark.parametrize(
    "policy",
    [
        OwnerPolicy(),
        OwnerPolicy(approvals="ok to go.txt"),
        OwnerPolicy(window=Window(time(22), time(4), frozenset({0, 4})), zone="Europe/Berlin"),
    ],
)
def test_systemd_has_nothing_to_complain_about(tmp_path, every, user, policy):
    analyze = require("systemd-analyze", "systemd")
    made = units(job(policy, user=user), every)
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", *(tmp_path / name for name in made)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    [timer] = [text for name, text in made.items() if name.endswith(".timer")]
    calendar = next(line for line in timer.splitlines() if line.startswith("OnCalendar=")).partition("=")[2]
    subprocess.run([analyze, "calendar", calendar], check=True, capture_output=True)
    assert (".path" in "".join(made)) == bool(policy.approvals)


@given(st.text("0123456789abcdef", min_size=1, max_size=32), st.times(), st.times())
def test_the_moment_is_stable_and_in_the_window(site_id, start, end):
    window = Window(start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0))
    mine = job(OwnerPolicy(window=window), site_id=site_id)
    assert mine.moment() == job(OwnerPolicy(window=window), site_id=site_id).moment()
    assert window.contains(datetime.combine(date(2026, 1, 20), mine.moment()))


def test_sites_are_spread_over_the_night():
    moments = [job(site_id=f"{number:x}").moment() for number in range(2_000)]
    hours = [sum(moment.hour == hour for moment in moments) for hour in range(24)]
    assert hours[6:] == [0] * 18
    assert min(hours[:6]) > 270
    assert len(set(moments)) > 350


def test_cron_knows_no_time_zones_and_asks_every_hour_then():
    window = Window(time(2), time(5))
    plain, zoned = (cron_lines(job(OwnerPolicy(window=window, zone=zone)), "daily") for zone in ("", "Asia/Tokyo"))
    assert plain.splitlines()[1].split()[1] in ("2", "3")
    assert zoned.splitlines()[1].split()[1] == "*"
    assert "'/srv/50 \\% off/$hop'" in plain


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20), max_size=9))
def test_nothing_else_in_a_crontab_is_touched(lines):
    before = "".join(f"{line}\n" for line in lines)
    block = cron_lines(job(), "daily")
    once = replace_block(before, ODD, block)
    assert once == before + block
    assert replace_block(once + "# more\n", ODD, "") == before + "# more\n"
    assert replace_block(once, ODD, block) == once
    assert replace_block(once, Path("/srv/other"), "") == once


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def crontab(tmp_path, programs) -> Path:
    """A `crontab` that keeps its lines in a file of the test: the real one would change this machine's."""
    kept = tmp_path / "crontab"
    (programs / "crontab").write_text(
        f'#!/bin/sh\n[ "$1" = -l ] || exec cat > {kept}\n'
        f'[ -f {kept} ] && exec cat {kept}\necho "no crontab for you" >&2; exit 1\n'
    )
    (programs / "crontab").chmod(0o755)
    return kept


def test_the_crontab_gets_one_block_and_loses_it_again(run, site, crontab):
    crontab.write_text("MAILTO=ada\n5 5 * * *  backup")
    for _ in range(2):
        done = run("schedule", "--install", "--site", str(site))
        assert done.code == 0
    lines = crontab.read_text().splitlines()
    assert lines[:2] == ["MAILTO=ada", "5 5 * * *  backup"]
    assert len(lines) == 6
    assert f"-m updater update --auto --quiet --site {site}" in lines[3]
    assert "will look, and install nothing by itself" in done.err
    assert run("schedule", "--remove", "--site", str(site)).code == 0
    assert crontab.read_text() == "MAILTO=ada\n5 5 * * *  backup\n"


def test_what_is_printed_is_what_is_installed(run, site, crontab):
    printed = run("schedule", "--site", str(site)).out
    run("schedule", "--install", "--site", str(site))
    assert crontab.read_text() == printed


def test_a_crontab_that_cannot_be_read_is_not_written(run, site, programs, tmp_path):
    (programs / "crontab").write_text(
        f'#!/bin/sh\n[ "$1" = -l ] || touch {tmp_path}/written\necho broken >&2; exit 1\n'
    )
    (programs / "crontab").chmod(0o755)
    done = run("schedule", "--install", "--site", str(site))
    assert done.code == 1
    assert "cannot be read: broken" in done.err
    assert not (tmp_path / "written").exists()


def test_units_are_written_and_removed(run, site, tmp_path, programs, monkeypatch):
    """With a `systemctl` that only notes what it is asked: this machine's systemd is not ours to change."""
    asked = tmp_path / "asked"
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setattr("updater.cli.schedule.SYSTEM_UNITS", tmp_path / "units")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    assert run("schedule", "--systemd", "--install", "--site", str(site)).code == 0
    written = sorted(path.name for path in tmp_path.rglob("updater-shop-*"))
    assert sorted(name.rpartition(".")[2] for name in written) == ["service", "service", "timer"]
    assert "enable --now" in asked.read_text()
    assert run("schedule", "--systemd", "--remove", "--site", str(site)).code == 0
    assert list(tmp_path.rglob("updater-shop-*")) == []
