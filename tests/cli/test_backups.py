"""Restore points, edited files, guarded rollbacks and rehearsals, as they are typed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.sites import ROOT, Runner, live_tree
from tests.support.packages import make_package
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from updater import Updater
from updater.cli.amounts import ago
from updater.cli.exits import Exit
from updater.schema.feed import Migrations

SETTINGS = (
    f'\n[database]\nkind = "sqlite"\npath = "data.sqlite3"\n'
    f'[commands]\nrunner = ["{sys.executable}", "manage.py"]\nallow = ["migrate"]\n'
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-500, "in the future"),
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (3 * 86400, "3 days ago"),
        (65 * 86400, "2 months ago"),
        (800 * 86400, "2 years ago"),
    ],
)
def test_ages(seconds, words):
    assert ago(seconds) == words


def test_list(run: Runner, site: Path):
    (site / "shop/a.py").write_bytes(b"mine")
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    lines = run("--site", site, "backup", "list").out.splitlines()
    assert len(lines) == 2
    assert "(just now)  1.1.0 (before 1.2.0)  4 files, no database, 1 edited file  " in lines[0]
    points = json.loads(run("--site", site, "backup", "list", "--json").out)["restore_points"]
    assert [(point["version"], point["files"], point["edited_files"]) for point in points] == [
        ("1.1.0", 4, 1),
        ("1.0.0", 4, 0),
    ]
    assert all(point["good"] and point["size_on_disk"] > 0 and point["age_seconds"] >= 0 for point in points)
    (site / ".updater/backups" / points[0]["id"] / "manifest.json").unlink()
    (site / ".updater/backups" / points[1]["id"] / "restore_point.json").write_text("{")
    done = run("--site", site, "backup", "list")
    assert "  DAMAGED: its manifest is missing\n" in done.out
    assert f"{points[1]['id']}  DAMAGED: its record cannot be read\n" in done.out


def test_verify(run: Runner, site: Path):
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    done = run("--site", site, "backup", "verify", "--all")
    assert (done.code, "2 restore points read again" in done.out) == (Exit.DONE, True)
    points = json.loads(run("--site", site, "backup", "list", "--json").out)["restore_points"]
    saved = site / ".updater/backups" / points[1]["id"] / "files/shop/a.py"
    saved.write_bytes(b"A = 7\n")
    newest = run("--site", site, "backup", "verify")
    assert (newest.code, newest.out.startswith(f"{points[0]['id']}  good\n")) == (Exit.DONE, True)
    done = run("--site", site, "backup", "verify", "1.0.0")
    assert done.code == Exit.VERIFICATION
    assert f"{points[1]['id']}  DAMAGED\n  {saved} is damaged\n" in done.out
    told = json.loads(run("--site", site, "backup", "verify", "--all", "--json").out)
    assert [point["ok"] for point in told["restore_points"]] == [True, False]
    assert run("--site", site, "backup", "verify", "9.9").code == Exit.BLOCKED
    assert run("--site", site, "rollback", "1.0.0", "--yes").code != Exit.DONE  # what is damaged does not come back


def test_edited(run: Runner, site: Path, tmp_path: Path):
    empty = run("--site", site, "backup", "edited")
    assert (empty.code, empty.out) == (Exit.DONE, "No update has replaced a file that you had edited.\n")
    (site / "shop/a.py").write_bytes(b"A = 'mine'\n")
    done = run("--site", site, "update", "--yes")
    assert "`updater backup edited` lists, compares and restores them." in done.out
    (entry,) = json.loads(run("--site", site, "backup", "edited", "--json").out)["edited_files"]
    assert (entry["path"], entry["size"], entry["during_update"]) == ("shop/a.py", 11, False)
    shown = run("--site", site, "backup", "edited").out
    assert shown.startswith(entry["restore_point"])
    assert shown.rstrip().endswith("shop/a.py  11 bytes")
    diff = run("--site", site, "backup", "edited", "diff", "shop/a.py")
    assert diff.out.splitlines()[2:] == ["@@ -1 +1 @@", "-A = 3", "+A = 'mine'"]
    assert run("--site", site, "backup", "edited", "restore", "shop/a.py").code == Exit.USAGE  # nobody to ask
    assert (site / "shop/a.py").read_bytes() == b"A = 3\n"
    other = run("--site", site, "backup", "edited", "restore", "shop/a.py", "--to", tmp_path / "mine.py", "--yes")
    assert (other.code, (tmp_path / "mine.py").read_bytes()) == (Exit.DONE, b"A = 'mine'\n")
    done = run("--site", site, "backup", "edited", "restore", "shop/a.py", "--yes")
    assert (done.code, (site / "shop/a.py").read_bytes()) == (Exit.DONE, b"A = 'mine'\n")
    back = next(line.split("`")[1] for line in done.out.splitlines() if "brings it back" in line)
    assert run("--site", site, *back.split()[1:], "--yes").code == Exit.DONE
    assert (site / "shop/a.py").read_bytes() == b"A = 3\n"
    assert run("--site", site, "backup", "edited", "restore", "nothing", "--yes").code == Exit.BLOCKED


def test_edited_asks_on_a_terminal(run: Runner, site: Path, terminal: Callable[[str], None]):
    (site / "shop/a.py").write_bytes(b"A = 'mine'\n")
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    terminal("n\n")
    done = run("--site", site, "backup", "edited", "restore", "shop/a.py")
    assert "What lies there now is kept aside. [y/N]" in done.err
    assert (done.out, (site / "shop/a.py").read_bytes()) == ("Nothing was changed.\n", b"A = 3\n")


def connect(site: Path) -> sqlite3.Connection:
    return sqlite3.connect(site / "data.sqlite3")


def test_rollback_says_which_rows_would_be_lost(run: Runner, site: Path):
    with closing(connect(site)) as database:
        database.execute("create table orders_order (name text)")
        database.execute("create table cart (name text)")
        database.execute("insert into cart values ('x')")
        database.commit()
    with (site / "updater.toml").open("a") as file:
        file.write(SETTINGS)
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    with closing(connect(site)) as database:
        database.executemany("insert into orders_order values (?)", [("a",), ("b",), ("c",)])
        database.execute("delete from cart")
        database.execute("create table coupon as select 1 as x")
        database.commit()
    done = run("--site", site, "rollback", "--dry-run")
    assert done.code == Exit.DONE
    assert "    orders_order: 3 rows more now than at 20" in done.out
    assert "; they would be lost\n" in done.out
    assert "    cart: 1 row fewer now than at 20" in done.out
    assert "    coupon: 1 row, and no such table at 20" in done.out
    assert "rows that were changed in place cannot be told" in done.out
    plan = json.loads(run("--site", site, "rollback", "--dry-run", "--json").out)["plan"]
    assert plan["rows"][2] == {"table": "orders_order", "then": 0, "now": 3}
    assert plan["database_restored"] is True
    with closing(connect(site)) as database:
        assert database.execute("select count(*) from orders_order").fetchone() == (3,)


def test_code_alone_is_refused_when_it_does_not_fit(run: Runner, site: Path):
    with closing(connect(site)) as database:
        database.execute("create table t (x)")
        database.commit()
    with (site / "updater.toml").open("a") as file:
        file.write(SETTINGS)
    assert run("--site", site, "update", "--yes").code == Exit.DONE  # with shop.0002_x, which is destructive
    before = live_tree(site)
    for more in ((), ("--dry-run",)):
        done = run("--site", site, "rollback", "--keep-database", "--yes", *more)
        assert done.code == Exit.BLOCKED
        assert "1.1.0 lacks shop.0002_x, which the database has" in done.err
        assert "leave --keep-database away" in done.err
    assert live_tree(site) == before
    told = json.loads(run("--site", site, "rollback", "--keep-database", "--yes", "--json").out)["error"]
    assert (told["code"], told["kind"]) == (Exit.BLOCKED, "BlockedError")
    assert run("--site", site, "rollback", "--keep-database", "--database-restored").code == Exit.USAGE
    assert run("--site", site, "rollback", "--yes").code == Exit.DONE


def test_the_plan_names_what_cannot_be_undone(run: Runner, site: Path):
    out = run("--site", site, "update", "--dry-run").out
    assert "DESTRUCTIVE: they delete data from the database (1.2.0)" in out
    assert "IRREVERSIBLE: they cannot be undone, only the backup leads back (1.2.0)" in out
    assert "NO WAY BACK: the old code needs the old database, and no backup is made" in out
    plan = json.loads(run("--site", site, "update", "--dry-run", "--json").out)["plan"]
    assert (plan["migrations"], plan["migrations_destructive"], plan["migrations_reversible"]) == (
        ["shop.0002_x"],
        True,
        False,
    )
    assert plan["migrations_destructive_in"] == plan["migrations_irreversible_in"] == ["1.2.0"]
    assert plan["migrations_backward_compatible"] is None


MANAGE = b"""\
import os, pathlib, sqlite3, sys
assert os.environ.get("UPDATER_REHEARSAL") == os.environ.get("EXPECTED_REHEARSAL"), "wrong surroundings"
database = sqlite3.connect("data.sqlite3")
database.execute("create table if not exists applied (name)")
database.execute("insert into applied values (?)", (sys.argv[-1],))
database.commit()
print("applied", sys.argv[-1])
pathlib.Path("made").mkdir(exist_ok=True)
pathlib.Path("made/file.txt").write_text("made")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A site of 1.0.0 of an app whose migrations are a few lines, and its publisher."""
    monkeypatch.setenv("EXPECTED_REHEARSAL", "1")
    publisher = SitePublisher()
    publisher.publish(make_package({"manage.py": b"1"}, version="1.0.0", preserve=["/data.sqlite3"]))
    with publisher.serving() as server:
        path = tmp_path / "site"
        from updater import set_up_site

        set_up_site(server.url + "stable.json", path)
        with (path / "updater.toml").open("a") as file:
            file.write(SETTINGS + '[health]\ncommand = ["test", "-e", "manage.py"]\n')
        with closing(connect(path)) as database:
            database.execute("create table t (x)")
            database.commit()
        yield path, publisher


def release(publisher: SitePublisher, manage: bytes, commands: list[str]) -> None:
    """Publish 2.0.0 with this ``manage.py`` and one migration."""
    built = make_package(
        {"manage.py": manage, "shop/migrations/0001_x.py": b""},
        version="2.0.0",
        commands=commands,
        preserve=["/data.sqlite3"],
        migrations=["shop.0001_x"],
    )
    publisher.publish(built, migrations=Migrations(("shop.0001_x",), True, False, True))


def nothing_changed(site: Path, before: dict[str, str]) -> bool:
    return live_tree(site) == before and not (site / ".updater/rehearsal").exists()


def test_a_rehearsal_that_works(run: Runner, app: tuple[Path, SitePublisher], monkeypatch: pytest.MonkeyPatch):
    site, publisher = app
    release(publisher, MANAGE, ["migrate one", "forbidden two"])
    before = live_tree(site)
    done = run("--site", site, "update", "--rehearse")
    assert done.code == Exit.DONE, done.out + done.err
    assert "command     migrate one: ok after" in done.out
    assert "not run     'forbidden' is not on the allow-list" in done.out
    assert "health      test -e manage.py: ok after" in done.out
    assert "The update to 2.0.0 would work. Nothing of the site was changed." in done.out
    assert nothing_changed(site, before)
    told = json.loads(run("--site", site, "update", "--rehearse", "--to", "2.0.0", "--json").out)
    rehearsal = told["rehearsal"]
    assert (told["result"], rehearsal["ok"], rehearsal["confined"]) == ("rehearsed", True, True)
    assert rehearsal["database_growth"] > 0
    assert rehearsal["steps"][0]["output"] == "applied one"
    assert nothing_changed(site, before)
    monkeypatch.delenv("EXPECTED_REHEARSAL")
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    with closing(connect(site)) as database:
        assert database.execute("select name from applied").fetchall() == [("one",)]
    assert run("--site", site, "rollback", "--keep-database", "--yes").code == Exit.DONE  # declared to be safe
    with closing(connect(site)) as database:
        assert database.execute("select name from applied").fetchall() == [("one",)]


@pytest.mark.parametrize(
    ("manage", "says"),
    [
        (b"import sys; print('no such column'); sys.exit(3)", "no such column"),
        (b"print('nothing to do')", "left the copy of the database as it was"),
        (MANAGE.replace(b'"data.sqlite3"', b'os.environ["LIVE"]'), "readonly database"),
        (MANAGE.replace(b'"made"', b'os.environ["LIVE"] + "-made"'), "Permission denied"),
        (b"import os; os.unlink(os.environ['LIVE'])", "Permission denied"),
        (b"this is no Python", "check       "),
    ],
    ids=["a migration fails", "it does nothing", "another database", "another folder", "it deletes", "no code"],
)
def test_a_rehearsal_that_fails(
    run: Runner, app: tuple[Path, SitePublisher], monkeypatch: pytest.MonkeyPatch, manage: bytes, says: str
):
    site, publisher = app
    # a way to the live site that no rewriting of paths finds
    monkeypatch.setenv("LIVE", str(site.parent / "." / "." / "site/data.sqlite3").replace("/site/", "/./site/"))
    release(publisher, manage, ["migrate one"])
    with (site / "updater.toml").open("a") as file:
        file.write(f"check = [\"{sys.executable}\", \"-c\", \"compile(open('manage.py').read(), 'x', 'exec')\"]\n")
    before = live_tree(site)
    done = run("--site", site, "update", "--rehearse")
    assert done.code == Exit.FAILED, done.out + done.err
    assert says in done.out
    assert "The update to 2.0.0 would FAIL. Nothing of the site was changed." in done.out
    assert nothing_changed(site, before)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('kind = "none"', "[database] kind is 'none', and the release runs commands"),
        ('kind = "command"\nbackup = ["cp", "x", "{file}"]\nrestore = ["cp", "{file}", "x"]', "of the kind 'command'"),
        ('kind = "postgresql"\nurl = "postgresql:///x"', "url_env"),
    ],
)
def test_a_rehearsal_is_refused_when_the_copy_might_not_be_used(
    run: Runner, app: tuple[Path, SitePublisher], settings: str, says: str
):
    site, publisher = app
    release(publisher, MANAGE, ["migrate one"])
    text = (site / "updater.toml").read_text()
    (site / "updater.toml").write_text(text.replace('kind = "sqlite"\npath = "data.sqlite3"', settings))
    before = live_tree(site)
    done = run("--site", site, "update", "--rehearse")
    assert done.code == Exit.BLOCKED, done.out + done.err
    assert says in done.err
    assert nothing_changed(site, before)


def test_a_rehearsal_is_refused_where_nothing_confines_the_commands(
    run: Runner, app: tuple[Path, SitePublisher], monkeypatch: pytest.MonkeyPatch
):
    from updater.rehearsal import sandbox

    site, publisher = app
    release(publisher, MANAGE, ["migrate one"])
    monkeypatch.setattr(sandbox, "available", lambda: False)
    before = live_tree(site)
    done = run("--site", site, "update", "--rehearse")
    assert done.code == Exit.BLOCKED
    assert "nothing would keep the commands from the live database" in done.err
    assert nothing_changed(site, before)


def test_absolute_paths_in_the_settings_lead_into_the_copy(run: Runner, app: tuple[Path, SitePublisher]):
    site, publisher = app
    release(publisher, MANAGE, ["migrate one"])
    text = (site / "updater.toml").read_text()
    (site / "updater.toml").write_text(text.replace('"manage.py"]\nallow', f'"{site}/manage.py"]\nallow'))
    before = live_tree(site)
    done = run("--site", site, "update", "--rehearse")  # the live manage.py of 1.0.0 is no migration
    assert done.code == Exit.DONE, done.out
    assert nothing_changed(site, before)


def test_commands_that_run_elsewhere_are_refused(run: Runner, app: tuple[Path, SitePublisher]):
    site, publisher = app
    release(publisher, MANAGE, ["migrate one"])
    text = (site / "updater.toml").read_text()
    (site / "updater.toml").write_text(text.replace(f'["{sys.executable}", ', '["/usr/bin/docker", "exec", "shop", '))
    done = run("--site", site, "update", "--rehearse")
    assert done.code == Exit.BLOCKED
    assert "run through docker" in done.err


def test_a_rehearsal_that_is_killed_is_swept_by_the_next_command(run: Runner, app: tuple[Path, SitePublisher]):
    site, publisher = app
    release(publisher, MANAGE + b"import time; time.sleep(60)\n", ["migrate one"])
    before = live_tree(site)
    command = [sys.executable, "-m", "updater", "--site", str(site), "update", "--rehearse"]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 40
        while not list(site.glob(".updater/rehearsal/*/site/made/file.txt")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        (rehearsed,) = (pid for pid in children(process.pid))
        process.send_signal(signal.SIGKILL)
        process.wait()
    while Path(f"/proc/{rehearsed}").exists() and "Z" not in Path(f"/proc/{rehearsed}/stat").read_text():
        assert time.monotonic() < deadline, "the command of the rehearsal outlived the updater"
        time.sleep(0.05)
    assert live_tree(site) == before
    assert (site / ".updater/rehearsal").exists()
    assert run("--site", site, "recover").code == Exit.DONE
    assert nothing_changed(site, before)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_an_interrupted_rehearsal_removes_its_copy(app: tuple[Path, SitePublisher], monkeypatch: pytest.MonkeyPatch):
    site, publisher = app
    release(publisher, MANAGE, ["migrate one"])
    before = live_tree(site)
    updater = Updater(site)
    plan = updater.plan()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("updater.rehearsal.rehearsal.run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        updater.rehearse(plan)
    assert nothing_changed(site, before)


def test_nothing_is_rehearsed_when_there_is_nothing_new(run: Runner, site: Path, server: LoopbackServer):
    assert run("--site", site, "update", "--yes").code == Exit.DONE
    assert run("--site", site, "update", "--rehearse").code == Exit.DONE
    assert run("--site", site, "update", "--rehearse", "--dry-run").code == Exit.USAGE
