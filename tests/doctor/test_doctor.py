"""Doctor: each check on what it looks for, and that nothing is changed or hidden."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.doctor.examine import CHECKS, examine
from updater.doctor.facts import Facts, Probes
from updater.doctor.local import judge_python, judge_space
from updater.doctor.remote import judge_clock, judge_expiry
from updater.install.journal import Journal, State
from updater.install.preflight import Finding
from updater.site import Site, SiteLock

NOW = datetime.now(UTC)


def _no_date(url: str) -> datetime | None:
    return None


PROBES = Probes(
    resolve=lambda host, port: ["127.0.0.1"],
    server_date=_no_date,
    certificate_end=lambda host, port: NOW + timedelta(days=60),
    proxy_for=lambda url: None,
    distributions=list,
    ask_app=lambda config: [],
)

Examine = Callable[..., dict[str, list[Finding]]]


@pytest.fixture
def publisher() -> SitePublisher:
    publisher = SitePublisher()
    publisher.publish(make_package({"manage.py": b"1", "shop/a.py": b"A"}, commands=["migrate --noinput"]))
    return publisher


@pytest.fixture
def site(publisher: SitePublisher, tmp_path: Path) -> Path:
    set_up_site(publisher.url, tmp_path / "site", transport=publisher)
    return tmp_path / "site"


@pytest.fixture
def look(site: Path, publisher: SitePublisher) -> Examine:
    """All findings, by check."""

    def run(probes: Probes = PROBES, *, config: str = "", now: datetime | None = None) -> dict[str, list[Finding]]:
        now = now or datetime.now(UTC)  # not NOW: a long run of all tests began before this feed was made
        if config:
            with (site / "updater.toml").open("a") as file:
                file.write("\n" + config)
        before = snapshot(site)
        found = examine(Site(site), now=now, environ=dict(os.environ), transport=publisher, probes=probes)
        assert snapshot(site) == before  # doctor looks, and touches nothing
        assert all(finding.advice for finding in found if finding.level != "ok")
        return {name: [finding for finding in found if finding.check == name] for name in CHECKS}

    return run


def snapshot(site: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(site.rglob("*"))
        if os.access(path, os.R_OK)
    }


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_a_healthy_site(look: Examine):
    found = look(
        config='[commands]\nallow = ["migrate"]\nrunner = ["true"]\n[health]\ncommand = ["true"]\n'
        '[database]\nkind = "sqlite"\npath = "shop.sqlite3"\n'
    )
    assert {finding.level for findings in found.values() for finding in findings} == {"ok"}, found
    assert all(found.values())  # every check has something to say


def test_one_failing_check_hides_no_other(look: Examine, monkeypatch: pytest.MonkeyPatch):
    def broken(facts: Facts) -> list[Finding]:
        raise ZeroDivisionError

    monkeypatch.setitem(CHECKS, "lock", broken)  # type: ignore[arg-type]
    found = look()
    assert "this check itself failed: ZeroDivisionError" in found["lock"][0].message
    assert levels(found["journal"]) == ["ok"]


def test_settings(look: Examine):
    found = look(config="[health]\nurl = 5\nurll = 1\n")
    assert levels(found["settings"]) == ["error"]
    assert "updater.toml:" in found["settings"][0].message  # with the line
    assert "url" in found["settings"][0].message
    assert levels(found["health"]) == ["warning"]  # could not be checked
    assert "`settings`" in found["health"][0].advice
    assert levels(found["site"]) == ["ok"]


def test_commands(look: Examine):
    found = look(config='[commands]\nrunner = ["no-such-program"]\n')["commands"]
    assert levels(found) == ["warning", "error"]
    assert "add 'migrate' to [commands] allow" in found[0].advice
    assert "'no-such-program' is not found on PATH" in found[1].message


def test_restart(look: Examine):
    found = look(
        config='[restart]\nstop = ["no-such-a"]\ncommand = ["./no-such-b"]\ntouch = "tmp/x"\n'
        'signal = "HUP"\npidfile = "x.pid"\n'
    )
    assert levels(found["restart"]) == ["error", "error", "error", "warning"]


def test_health(look: Examine):
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("unknown host")

    assert levels(look()["health"]) == ["warning"]
    found = look(replace(PROBES, resolve=unknown), config='[health]\nurl = "http://shop.invalid/health/"\n')
    assert "shop.invalid, is not found" in found["health"][0].message
    assert levels(found["health"]) == ["error"]


def test_maintenance(look: Examine, site: Path):
    assert "No page is configured" in look()["maintenance"][0].message
    found = look(config='[maintenance]\nfile = "maintenance.json"\n')["maintenance"]
    assert levels(found) == ["ok"]
    site.chmod(0o700)
    assert "chmod o+x" in look()["maintenance"][0].advice
    site.chmod(0o755)
    (site / "maintenance.json").write_text("")
    found = look()["maintenance"]
    assert (levels(found), "updater recover" in found[0].advice) == (["warning"], True)
    text = (site / "updater.toml").read_text()
    (site / "updater.toml").write_text(text.replace("maintenance.json", "manage.py"))
    assert levels(look()["maintenance"]) == ["error", "warning"]
    (site / "updater.toml").write_text(text.replace("maintenance.json", "no/such/folder"))
    assert levels(look()["maintenance"]) == ["error"]


def test_files(look: Examine, site: Path):
    assert levels(look()["files"]) == ["ok"]
    (site / "shop/a.py").unlink()
    (site / "manage.py").write_bytes(b"mine")
    assert levels(look()["files"]) == ["warning", "warning"]


def test_database(look: Examine):
    assert levels(look()["database"]) == ["warning"]
    found = look(config='[database]\nkind = "command"\nbackup = ["no-such", "{file}"]\nrestore = ["x", "{file}"]\n')
    assert levels(found["database"]) == ["error"]


def test_site_record(look: Examine, site: Path):
    (site / ".updater").chmod(0o755)
    found = look()["site"]
    assert levels(found) == ["ok", "warning"]
    assert "chmod 700" in found[1].advice
    (site / ".updater/manifest.json").write_bytes(b"{}")
    broken = look()
    assert levels(broken["site"]) == ["error"]
    assert levels(broken["permissions"]) == ["warning"]


def test_lock_and_journal(look: Examine, site: Path):
    with SiteLock(site / ".updater/lock"):
        found = look()["lock"]
        assert levels(found) == ["warning"]
        assert str(os.getpid()) in found[0].message
    assert levels(look()["lock"]) == ["ok"]
    journal = Journal(site / ".updater/journal")
    journal.begin("20260120-100000-000000")
    found = look()["journal"]
    assert (levels(found), "updater recover" in found[0].advice) == (["warning"], True)
    for _ in range(3):
        journal.append("20260120-100000-000000", State.UNDOING)
    assert levels(look()["journal"]) == ["error"]


def test_permissions(look: Examine, site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode, **_: not str(path).endswith("/shop"))
    found = look()["permissions"]
    assert levels(found) == ["error"]
    assert f"{site}/shop is not writable" in found[0].message


def test_disk():
    assert judge_space(2**30, 2**20).level == "ok"
    short = judge_space(2**20, 2**30)
    assert (short.level, "backup delete" in short.advice) == ("error", True)


def test_python():
    assert judge_python((3, 11, 0)).level == "ok"
    assert judge_python((3, 10, 9)).level == "error"


class _Foreign(Distribution):
    def __init__(self, name: str, *files: str) -> None:
        self._name, self._files = name, files

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: 1.0\n"
        return "".join(f"{file},,\n" for file in self._files) if filename == "RECORD" else None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path("/nowhere", path)


@pytest.mark.parametrize(("package", "ours"), [("updater", "tagship"), ("feedgen", "tagship-feedgen")])
def test_packages_of_the_same_name(look: Examine, package: str, ours: str):
    rival = _Foreign(package, f"{package}/__init__.py")
    with_us = replace(PROBES, distributions=lambda: [rival, _Foreign(ours, f"{package}/__init__.py")])
    found = look(with_us)["packages"]
    assert levels(found) == ["error"]
    assert f"pip uninstall {package}" in found[0].advice
    alone = replace(PROBES, distributions=lambda: [_Foreign("other", "other/__init__.py")])
    assert levels(look(alone)["packages"]) == ["ok"]


def test_overwritten_files(look: Examine, tmp_path: Path):
    class Ours(_Foreign):
        def locate_file(self, path: str | os.PathLike[str]) -> Path:
            return tmp_path / Path(path).name

        def read_text(self, filename: str) -> str | None:
            if filename == "RECORD":
                return "updater/x.py,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\n"  # of "abc"
            return super().read_text(filename)

    probes = replace(PROBES, distributions=lambda: [Ours("tagship")])
    (tmp_path / "x.py").write_bytes(b"abc")
    assert levels(look(probes)["packages"]) == ["ok"]
    (tmp_path / "x.py").write_bytes(b"abd")
    assert "updater/x.py" in look(probes)["packages"][0].message


def test_connection(look: Examine, publisher: SitePublisher):
    publisher.repository.faults["metadata/timestamp.json"] = 503
    found = look()
    assert levels(found["connection"]) == ["error"]
    assert levels(found["feed"]) in (["error"], ["warning"])
    through = look(replace(PROBES, proxy_for=lambda url: "http://me:secret@proxy.invalid:3128"))["connection"][0]
    assert "proxy.invalid:3128" in through.message
    assert "secret" not in through.message


def test_no_such_host(site: Path):
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    probes = replace(PROBES, resolve=unknown)
    found = {
        finding.check: finding
        for finding in examine(Site(site), now=NOW, environ={}, probes=replace(probes, server_date=_no_date))
        if finding.check == "connection"
    }
    assert "feeds.example is not found" in found["connection"].message


def test_tls(look: Examine):
    def expired(host: str, port: int) -> datetime:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "certificate has expired"
        raise error

    assert levels(look()["tls"]) == ["ok"]
    soon = replace(PROBES, certificate_end=lambda host, port: NOW + timedelta(days=3))
    assert levels(look(soon)["tls"]) == ["warning"]
    found = look(replace(PROBES, certificate_end=expired))["tls"]
    assert (levels(found), "certificate has expired" in found[0].message) == (["error"], True)


@pytest.mark.parametrize(
    ("now", "server", "generated", "level"),
    [
        ("2026-05-01", None, None, "ok"),
        ("2026-05-01", "2026-05-01", "2026-04-01", "ok"),
        ("1970-01-01", None, None, "error"),
        ("2026-05-01", None, "2026-06-01", "error"),
        ("2026-05-01", "2026-05-01T01:00", None, "warning"),
        ("2026-05-01", "2026-07-01", None, "error"),
    ],
)
def test_clock(now: str, server: str | None, generated: str | None, level: str):
    def moment(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)

    here = moment(now)
    assert here is not None
    assert judge_clock(here, moment(server), moment(generated)).level == level


def test_stale_and_foreign_feeds(look: Examine, publisher: SitePublisher, site: Path):
    Updater(site, transport=publisher).check()
    publisher.repository.set_expiry("timestamp")
    found = look()["feed"]
    assert levels(found) == ["warning"]
    assert "stale" in found[0].message


def test_trust(look: Examine, site: Path):
    assert levels(look()["trust"]) == ["ok", "ok"]
    ends = {"root": NOW + timedelta(days=3), "timestamp": NOW + timedelta(days=3), "stable": NOW - timedelta(days=1)}
    assert [(finding.level, finding.message.split()[2]) for finding in judge_expiry(NOW, ends)] == [
        ("warning", "root"),
        ("error", "stable"),
    ]
    (site / ".updater/root.json").write_bytes(b"[]")
    assert levels(look()["trust"]) == ["error"]


def test_nothing_works_and_still_every_check_answers(look: Examine, site: Path):
    for name in ("site.json", "manifest.json", "root.json", "journal", "lock"):
        path = site / ".updater" / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    (site / "updater.toml").unlink()
    (site / "updater.toml").symlink_to("updater.toml")
    found = look()
    assert all(found.values())
    assert not any("itself failed" in finding.message for findings in found.values() for finding in findings)


def test_through_the_library(site: Path, publisher: SitePublisher):
    assert {finding.check for finding in Updater(site, transport=publisher).doctor()} == set(CHECKS)
