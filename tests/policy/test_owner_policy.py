"""The owner's policy as updater.toml has it, and on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.asking import read_approvals
from updater.cli import main
from updater.errors import BlockedError, ConfigError
from updater.schema.feed import Migrations
from updater.schema.policy_config import OwnerPolicy, Window
from updater.schema.site_config import SiteConfig

FEED = '[feed]\nurl = "https://acme.example/stable.json"\n[policy]\n'


def policy(lines: str) -> OwnerPolicy:
    return SiteConfig.parse(FEED + lines).policy


def test_every_key_is_read():
    found = policy(
        'auto_install = "minor"\nsoak = 24\nwindow = "22:00-04:30"\nwindow_days = ["Fri", "Sat"]\n'
        'timezone = "Europe/Berlin"\nskip = ["1.2.0"]\npin = "~=1.4"\nhold_until = "2026-12-24"\napprovals = "ok.txt"\n'
        "canary = true\n"
    )
    window = Window(time(22), time(4, 30), frozenset({4, 5}))
    expected = ("minor", 24.0, window, "Europe/Berlin", ("1.2.0",), "~=1.4", date(2026, 12, 24), "ok.txt", True)
    assert tuple(getattr(found, name) for name in OwnerPolicy.__dataclass_fields__) == expected
    assert policy("") == OwnerPolicy()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('auto_install = "some"', "auto_install"),
        ('window = "22-4"', "two times"),
        ('window = "24:00-05:00"', "two times"),
        ('window_days = ["Fri"]', "is missing"),
        ('window = "01:00-02:00"\nwindow_days = ["Friday"]', "no day"),
        ('timezone = "Berlin"', "no time zone"),
        ('timezone = "Europe"', "no time zone"),
        ('timezone = "../../etc/passwd"', "no time zone"),
        ('skip = ["v1"]', "not a version"),
        ('pin = "1.4"', "compare versions"),
        ('hold_until = "Christmas"', "no date"),
        ("soak = -1", "soak"),
    ],
)
def test_what_makes_no_sense_is_refused(line: str, said: str):
    with pytest.raises(ConfigError, match=said):
        policy(line)


def test_the_clock_is_the_owners():
    summer = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert OwnerPolicy(zone="Europe/Berlin").local(summer).isoformat() == "2026-07-02T01:30:00+02:00"
    assert OwnerPolicy(zone="America/New_York").local(summer).date() == date(2026, 7, 1)


def test_approvals_are_versions_a_line(tmp_path: Path):
    path = tmp_path / "approved.txt"
    assert read_approvals(path) == frozenset()
    path.write_text("# who looked: Ada\n1.1.0   # fine\n\n 1.2.0\n")
    assert read_approvals(path) == {"1.1.0", "1.2.0"}
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_approvals(path)


@pytest.fixture
def site(tmp_path: Path):
    """At 1.0.0; 1.1.0, which must not be jumped over, and 1.2.0 are published."""
    publisher = SitePublisher()
    publisher.publish(make_package({"a.txt": b"1"}, version="1.0.0"))
    with publisher.serving() as server:
        feed, path = f"{server.url}stable.json", tmp_path / "site"
        path.mkdir()
        (path / "updater.toml").write_text(f'[feed]\nurl = "{feed}"\n[policy]\n', encoding="utf-8")
        set_up_site(feed, path, root=publisher.root)
        publisher.publish(make_package({"a.txt": b"2"}, version="1.1.0"), stop=True)
        publisher.publish(make_package({"a.txt": b"3"}, version="1.2.0"))
        yield path


def allow(site: Path, lines: str) -> None:
    with (site / "updater.toml").open("a", encoding="utf-8") as file:
        file.write(lines)


def version(site: Path) -> str | None:
    return Updater(site).site.state().version


def test_nothing_installs_itself_without_the_owners_word(site: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["update", "--site", str(site), "--auto"]) == 0
    assert "[policy] auto_install is 'none'" in capsys.readouterr().out
    assert version(site) == "1.0.0"
    assert main(["check", "--site", str(site)]) == 0
    assert "Not by itself: 1.1.0: does not install itself" in capsys.readouterr().out


def test_an_update_goes_through_every_stop(site: Path, capfd: pytest.CaptureFixture[str]):
    allow(site, 'auto_install = "all"\n')
    assert main(["update", "--site", str(site), "--auto"]) == 0
    said = capfd.readouterr()
    assert "then        1.2.0, each by an update of its own" in said.out
    assert version(site) == "1.2.0"
    assert [point.version for point in Updater(site).restore_points()] == ["1.1.0", "1.0.0"]


def test_a_version_behind_a_stop_can_be_asked_for(site: Path):
    assert main(["update", "--site", str(site), "--to", "1.2.0", "--yes"]) == 0
    assert version(site) == "1.2.0"


def test_approval_lets_one_version_in(site: Path):
    allow(site, 'auto_install = "all"\napprovals = "approved.txt"\n')
    (site / "approved.txt").write_text("1.1.0\n")
    assert main(["update", "--site", str(site), "--auto"]) == 0
    assert version(site) == "1.1.0"


def test_an_older_release_only_by_its_name_and_word(site: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["update", "--site", str(site), "--to", "1.1.0", "--yes"]) == 0
    assert main(["update", "--site", str(site), "--to", "1.0.0", "--yes"]) != 0
    assert "--downgrade installs it without the database of that time" in capsys.readouterr().err
    assert main(["update", "--site", str(site), "--downgrade", "--yes"]) == 2
    assert main(["update", "--site", str(site), "--to", "1.0.0", "--downgrade", "--auto"]) == 2
    assert version(site) == "1.1.0"
    assert main(["update", "--site", str(site), "--to", "1.0.0", "--downgrade", "--yes"]) == 0
    assert "downgrade   to an older release; the database stays as it is" in capsys.readouterr().out
    assert (version(site), (site / "a.txt").read_text()) == ("1.0.0", "1")
    assert [point.version for point in Updater(site).restore_points()] == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize("declared", [None, False, True])
def test_a_downgrade_beneath_a_newer_database_needs_the_releases_word(tmp_path: Path, declared: bool | None):
    publisher = SitePublisher()
    publisher.publish(make_package({"a.txt": b"1"}, version="1.0.0"))
    migrations = Migrations(("shop.0002_x",), True, False, declared)
    package = make_package({"a.txt": b"2"}, version="1.1.0", migrations=["shop.0002_x"])
    with publisher.serving() as server:
        feed, path = f"{server.url}stable.json", tmp_path / "site"
        set_up_site(feed, path, root=publisher.root)
        publisher.publish(package, migrations=migrations)
        assert main(["update", "--site", str(path), "--yes"]) == 0
        updater = Updater(path)
        if declared:
            assert updater.plan("1.0.0", downgrade=True).downgrade
        else:
            with pytest.raises(BlockedError, match="code and database would not fit together"):
                updater.plan("1.0.0", downgrade=True)
