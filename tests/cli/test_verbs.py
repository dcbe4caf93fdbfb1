"""Every verb with good input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.sites import OWN, RELEASES, Runner, live_tree, package
from tests.support.server import LoopbackServer, status
from tests.support.site_publisher import SitePublisher
from updater import Updater
from updater.cli.exits import Exit
from updater.trust import fingerprint


def is_release(site: Path, version: str) -> bool:
    """Whether the site's files are exactly that release's, and the owner's own."""
    mine = {name for name in live_tree(site) if name not in OWN and name != "version.json"}
    same = all((site / name).read_bytes() == data for name, data in RELEASES[version].items())
    return same and mine == set(RELEASES[version]) and all((site / name).read_bytes() == OWN[name] for name in OWN)


# install


def test_install_with_a_fingerprint(run: Runner, feed: str, tmp_path: Path, _publisher: SitePublisher):
    digest = fingerprint(_publisher.root)
    done = run("install", feed, tmp_path / "new", "--root-sha256", digest, "--version", "1.0.0", "--json")
    assert done.code == Exit.DONE, done.err
    told = json.loads(done.out)
    assert (told["app"], told["version"], told["root_sha256"]) == ("shop", "1.0.0", digest)
    assert told["trusted_on_first_use"] is False
    assert (tmp_path / "new/shop/old.py").read_bytes() == b"OLD = 1\n"
    assert "fingerprint" not in done.err  # somebody vouched: nothing to compare


def test_install_with_a_root_file_in_slots(run: Runner, feed: str, tmp_path: Path, _publisher: SitePublisher):
    root = tmp_path / "root.json"
    root.write_bytes(_publisher.root)
    done = run("install", feed, tmp_path / "new", "--root", root, "--layout", "slots")
    assert done.code == Exit.DONE, done.err
    assert (tmp_path / "new/current/shop/b.py").is_file()
    assert "shop 1.2.0 is installed" in done.out


def test_install_without_a_terminal_needs_somebody_who_vouches(run: Runner, feed: str, tmp_path: Path):
    done = run("install", feed, tmp_path / "new")
    assert done.code == Exit.USAGE
    assert "--root-sha256" in done.err
    assert "--yes" in done.err
    assert not (tmp_path / "new").exists()


def test_install_with_yes_trusts_and_shows_the_fingerprint(
    run: Runner, feed: str, tmp_path: Path, _publisher: SitePublisher
):
    done = run("install", feed, tmp_path / "new", "--yes")
    assert done.code == Exit.DONE, done.err
    assert fingerprint(_publisher.root) in done.err
    assert run("--site", tmp_path / "new", "verify").code == Exit.DONE


@pytest.mark.parametrize(("answer", "code"), [("y\n", Exit.DONE), ("n\n", Exit.BLOCKED), ("", Exit.BLOCKED)])
def test_install_asks_on_a_terminal(
    run: Runner, feed: str, tmp_path: Path, terminal: Callable[[str], None], answer: str, code: Exit
):
    terminal(answer)
    done = run("install", feed, tmp_path / "new")
    assert done.code == code
    assert "Trust it?" in done.err
    assert (tmp_path / "new").exists() == (code == Exit.DONE)


def test_install_twice(run: Runner, feed: str, site: Path):
    before = live_tree(site)
    done = run("install", feed, site, "--yes")
    assert done.code == Exit.USAGE
    assert "is a site already" in done.err
    assert live_tree(site) == before


# check


def test_check(run: Runner, site: Path):
    done = run("check", "--site", site)
    assert done.code == Exit.DONE
    assert "1.2.0 is available" in done.out
    assert "What is new in 1.2.0." in done.out
    assert "installed: 1.1.0" in done.out


def test_check_says_by_its_exit_code_that_an_update_waits(run: Runner, site: Path):
    assert run("--site", site, "check", "--exit-code").code == Exit.UPDATE_AVAILABLE
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    done = run("--site", site, "check", "--exit-code")
    assert (done.code, done.out) == (Exit.DONE, "1.2.0 is the newest of the stable channel.\n")


def test_check_json_is_the_documented_answer(run: Runner, site: Path):
    told = json.loads(run("--site", site, "check", "--json").out)
    assert told["update_available"] is True
    assert told["latest_version"] == "1.2.0"
    assert told["download_url"].endswith("/packages/shop-1.2.0.zip")
    assert told["checksum"].startswith("sha256:")
    assert set(told) >= {"file_size", "critical", "release_notes", "compatibility"}


def test_check_of_a_stale_feed_warns(run: Runner, site: Path, server: LoopbackServer):
    assert run("--site", site, "check").code == Exit.DONE
    server.behaviours["metadata/timestamp.json"] = status(503)
    done = run("--site", site, "check")
    assert done.code == Exit.DONE
    assert "warning: The feed is stale, last good on" in done.err
    assert "1.2.0 is available" in done.out


# update


def test_update_shows_the_plan_and_installs(run: Runner, site: Path):
    done = run("--site", site, "update", "--yes")
    assert done.code == Exit.DONE, done.err
    assert is_release(site, "1.2.0")
    for shown in (
        "Update from 1.1.0 to 1.2.0",
        "1 added, 3 replaced, 0 deleted",
        "shop.0002_x",
        "DESTRUCTIVE",
        "IRREVERSIBLE",
        "no database is configured",
        "What is new in 1.2.0.",
        "The way back: `updater rollback ",
    ):
        assert shown in done.out
    phases = [line.partition(":")[0] for line in done.err.splitlines()]
    assert phases == sorted(phases, key=["check", "download", "verify", "backup", "install", "commit", "cleanup"].index)


def test_update_dry_run_changes_nothing(run: Runner, site: Path):
    before = live_tree(site)
    done = run("--site", site, "update", "--dry-run", "-v")
    assert done.code == Exit.DONE
    assert "replace shop/a.py" in done.out
    assert "Nothing was changed" in done.out
    assert live_tree(site) == before


def test_update_without_a_terminal_needs_yes(run: Runner, site: Path):
    before = live_tree(site)
    done = run("--site", site, "update")
    assert done.code == Exit.USAGE
    assert "--yes" in done.err
    assert live_tree(site) == before


@pytest.mark.parametrize(("answer", "version"), [("y\n", "1.2.0"), ("YES\n", "1.2.0"), ("\n", "1.1.0"), ("", "1.1.0")])
def test_update_asks_on_a_terminal(run: Runner, site: Path, terminal: Callable[[str], None], answer: str, version: str):
    terminal(answer)
    done = run("--site", site, "update")
    assert done.code == Exit.DONE
    assert "Update to 1.2.0 now? [y/N]" in done.err
    assert is_release(site, version)


def test_nothing_to_update_is_success(run: Runner, site: Path):
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    again = run("--site", site, "update", "--yes")
    assert (again.code, again.out) == (Exit.DONE, "1.2.0 is the newest of the stable channel.\n")
    told = json.loads(run("--site", site, "update", "--to", "1.2.0", "--yes", "--json").out)
    assert told["result"] == "up-to-date"


def test_update_to_what_is_not_there(run: Runner, site: Path):
    done = run("--site", site, "update", "--to", "9.9", "--yes")
    assert done.code == Exit.BLOCKED
    assert "9.9 is not in the stable feed" in done.err
    older = run("--site", site, "update", "--to", "1.0.0", "--yes")
    assert older.code == Exit.BLOCKED
    assert "updater rollback" in older.err


def test_a_stale_feed_is_not_installed_from_unattended(run: Runner, site: Path, server: LoopbackServer):
    assert run("--site", site, "check").code == Exit.DONE
    server.behaviours["metadata/timestamp.json"] = status(503)
    before = live_tree(site)
    done = run("--site", site, "update", "--yes")
    assert done.code == Exit.BLOCKED
    assert "--allow-stale" in done.err
    assert live_tree(site) == before
    assert run("--site", site, "update", "--yes", "--allow-stale").code == Exit.DONE
    assert is_release(site, "1.2.0")


def test_a_stale_feed_is_asked_about(run: Runner, site: Path, server: LoopbackServer, terminal: Callable[[str], None]):
    assert run("--site", site, "check").code == Exit.DONE
    server.behaviours["metadata/timestamp.json"] = status(503)
    terminal("y\n")
    done = run("--site", site, "update")
    assert "from a stale feed?" in done.err
    assert is_release(site, "1.2.0")


def test_edited_files_are_named(run: Runner, site: Path):
    (site / "shop/a.py").write_bytes(b"mine")
    done = run("--site", site, "update", "--yes")
    assert done.code == Exit.DONE
    assert "edited      1 file: your changes are replaced; a copy of each is kept\n    shop/a.py" in done.out
    assert "Your changes to 1 file were replaced; copies are in .updater/backups/" in done.out


def test_conflicts_block_before_the_question(run: Runner, site: Path):
    (site / "shop/b.py").write_bytes(b"the owner's")
    before = live_tree(site)
    done = run("--site", site, "update", "--yes")
    assert done.code == Exit.BLOCKED
    assert "shop/b.py exists on this site but is not part of the installed release" in done.err
    assert live_tree(site) == before


def test_a_failing_health_check_rolls_back(run: Runner, site: Path):
    with (site / "updater.toml").open("a") as file:
        file.write('\n[health]\ncommand = ["sh", "-c", "echo it is ill; exit 1"]\ntimeout = 0.2\ninterval = 0.1\n')
    before = live_tree(site)
    done = run("--site", site, "update", "--yes", "--json")
    assert done.code == Exit.ROLLED_BACK
    told = json.loads(done.out)["error"]
    assert (told["code"], told["kind"]) == (Exit.ROLLED_BACK, "RolledBackError")
    assert "1.1.0 is back" in done.err
    assert live_tree(site) == before


def test_commands_that_will_not_run_are_named(run: Runner, tmp_path: Path):
    publisher = SitePublisher()
    publisher.publish(package("1.0.0", commands=["migrate --noinput", "\x1b[31mrm -rf /"]))
    with publisher.serving() as server:
        done = run("install", server.url + "stable.json", tmp_path / "s", "--yes")
        assert done.code == Exit.DONE
    assert "`migrate --noinput`, which will not run: 'migrate' is not on the allow-list" in done.err
    assert "\x1b" not in done.err + done.out  # no release can colour, move or clear the terminal
    assert "\\x1b[31mrm" in done.err


def test_quiet_says_nothing(run: Runner, site: Path):
    done = run("--site", site, "-q", "update", "--yes")
    assert (done.code, done.out, done.err) == (Exit.DONE, "", "")


# back


def test_rollback(run: Runner, site: Path):
    done = run("--site", site, "rollback", "--yes")
    assert done.code == Exit.DONE, done.err
    assert is_release(site, "1.0.0")
    assert "Roll back from 1.1.0 to 1.0.0" in done.out
    assert run("--site", site, "rollback", "1.1.0", "--yes").code == Exit.DONE
    assert is_release(site, "1.1.0")


def test_rollback_dry_run_and_declined(run: Runner, site: Path, terminal: Callable[[str], None]):
    before = live_tree(site)
    assert json.loads(run("--site", site, "rollback", "--dry-run", "--json").out)["result"] == "planned"
    assert run("--site", site, "rollback").code == Exit.USAGE
    terminal("no\n")
    done = run("--site", site, "rollback")
    assert done.code == Exit.DONE
    assert "Nothing was changed." in done.out
    assert live_tree(site) == before


def test_rollback_says_what_the_database_loses(run: Runner, site: Path):
    import sqlite3

    with sqlite3.connect(site / "data.sqlite3") as database:
        database.execute("create table orders (name text)")
    database.close()
    with (site / "updater.toml").open("a") as file:
        file.write('\n[database]\nkind = "sqlite"\npath = "data.sqlite3"\n')
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    with sqlite3.connect(site / "data.sqlite3") as database:
        database.execute("insert into orders values ('later')")
    database.close()
    done = run("--site", site, "rollback", "--yes")
    assert "everything written to the database since 20" in done.out
    with sqlite3.connect(site / "data.sqlite3") as database:
        assert database.execute("select * from orders").fetchall() == []
    database.close()


def test_rollback_to_an_exported_restore_point(run: Runner, site: Path, exported: Path):
    done = run("--site", site, "rollback", exported, "--yes")
    assert done.code == Exit.DONE, done.err
    assert is_release(site, "1.0.0")


def test_rollback_to_what_is_not_there(run: Runner, site: Path):
    done = run("--site", site, "rollback", "0.1", "--yes")
    assert done.code == Exit.BLOCKED
    assert "no restore point 0.1" in done.err
    assert run("--site", site, "rollback", "nothing.zip", "--yes").code == Exit.USAGE


def test_recover_with_nothing_to_do(run: Runner, site: Path):
    done = run("--site", site, "recover")
    assert (done.code, done.out) == (Exit.DONE, "There is nothing to recover.\n")
    assert json.loads(run("--site", site, "recover", "--json").out)["result"] == "nothing"


# looking


def test_verify(run: Runner, site: Path):
    assert run("--site", site, "verify").out.startswith("All 4 files of 1.1.0 are as released.")
    (site / "shop/a.py").write_bytes(b"changed")
    (site / "shop/new.py").unlink()
    done = run("--site", site, "verify")
    assert done.code == Exit.VERIFICATION
    assert "missing  shop/new.py\nchanged  shop/a.py\n2 of 4 files differ.\n" in done.out
    told = json.loads(run("--site", site, "verify", "--json").out)
    assert (told["ok"], told["missing"], told["changed"]) == (False, ["shop/new.py"], ["shop/a.py"])


def test_history(run: Runner, site: Path):
    lines = run("--site", site, "history").out.splitlines()
    assert lines[0].endswith("install   nothing -> 1.0.0  done")
    assert lines[-1].endswith("update    1.0.0 -> 1.1.0  done")
    assert len(run("--site", site, "history", "-n", "1").out.splitlines()) == 1
    assert json.loads(run("--site", site, "history", "--json").out)["entries"][-1]["to"] == "1.1.0"
    assert run("--site", site, "history", "-n", "0").code == Exit.USAGE


def test_status(run: Runner, site: Path):
    done = run("--site", site, "status")
    assert done.out.startswith(f"shop 1.1.0 in {site} (in-place)\n")
    assert "last update  done" in done.out
    told = json.loads(run("--site", site, "status", "--json").out)
    assert (told["installed_version"], told["update"]["state"]) == ("1.1.0", "done")


def test_doctor(run: Runner, site: Path):
    done = run("--site", site, "doctor")
    assert done.code == Exit.DONE, done.out
    assert done.out.endswith("0 errors, 2 warnings.\n")
    told = json.loads(run("--site", site, "doctor", "--json").out)
    assert {finding["level"] for finding in told["findings"]} == {"ok", "warning"}
    assert all(finding["advice"] for finding in told["findings"] if finding["level"] != "ok")


# restore points


def test_backup(run: Runner, site: Path, tmp_path: Path):
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    lines = run("--site", site, "backup", "list").out.splitlines()
    assert [" 1.1.0 (before 1.2.0) " in lines[0], " 1.0.0 (before 1.1.0) " in lines[1]] == [True, True]
    points = json.loads(run("--site", site, "backup", "list", "--json").out)["restore_points"]
    done = run("--site", site, "backup", "export", points[1]["id"], tmp_path / "out.zip")
    assert done.code == Exit.DONE
    assert run("--site", site, "backup", "export", points[1]["id"], tmp_path / "out.zip").code == Exit.USAGE
    assert run("--site", site, "backup", "delete", points[1]["id"]).code == Exit.USAGE  # nobody to ask
    assert run("--site", site, "backup", "delete", points[1]["id"], "--yes").code == Exit.DONE
    assert run("--site", site, "backup", "delete", points[0]["id"], "--yes").code == Exit.BLOCKED  # the only way back
    refused = run("--site", site, "rollback", tmp_path / "out.zip", "--yes")
    assert (refused.code, "--database-restored" in refused.err) == (Exit.BLOCKED, True)  # 1.2.0 has a migration
    assert run("--site", site, "rollback", tmp_path / "out.zip", "--database-restored", "--yes").code == Exit.DONE
    assert is_release(site, "1.0.0")


# finding the site


def test_the_site_is_the_nearest_folder_above(run: Runner, site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(site / "media")
    assert run("status").code == Exit.DONE
    monkeypatch.chdir(site.parent)
    done = run("status")
    assert done.code == Exit.USAGE
    assert "--site DIR" in done.err


def test_site_that_is_none(run: Runner, tmp_path: Path):
    for path in (tmp_path, tmp_path / "missing"):
        done = run("status", "--site", path)
        assert done.code == Exit.USAGE
        assert "updater.toml" in done.err


def test_another_updater_at_work(run: Runner, site: Path):
    from updater.site import SiteLock

    with SiteLock(Updater(site).site.lock_path):
        done = run("--site", site, "update", "--yes")
        assert done.code == Exit.LOCKED
        assert run("--site", site, "rollback", "--yes").code == Exit.LOCKED
        assert run("--site", site, "recover").code == Exit.LOCKED
        assert run("--site", site, "status").code == Exit.DONE


def test_the_wrong_user_is_told_the_right_command(run: Runner, site: Path, monkeypatch: pytest.MonkeyPatch):
    import os

    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(sys, "argv", ["updater", "update", "--yes"])
    done = run("--site", site, "update", "--yes")
    assert done.code == Exit.USAGE
    assert "sudo -u" in done.err
    assert "updater update --yes" in done.err
