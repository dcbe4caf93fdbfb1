"""The copy of a site: nothing in it is the same file as a live one, no path leads back, and nobody writes outside."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.database.pg_url import connection_environment, for_database
from updater.rehearsal import sandbox, tree
from updater.rehearsal.files import Places, moved, moves
from updater.rehearsal.tree import Source, TreeCopy, copy_tree, link_programs, list_tree


def copied(source: Path, target: Path, *managed: str, skip: str = "") -> TreeCopy:
    made = TreeCopy()
    tree = Source(source, source, lambda path: path == skip, frozenset(managed))
    paths, size = list_tree(tree, made)
    target.mkdir()
    copy_tree(tree, paths, target, made)
    link_programs(tree, target, made)
    assert size == made.size + sum(0 for _ in made.left_out)
    return made


def test_every_file_is_another_one(tmp_path: Path):
    site = tmp_path / "site"
    (site / "app/deep").mkdir(parents=True)
    (site / "app/deep/run").write_bytes(b"#!/bin/sh\n")
    (site / "app/deep/run").chmod(0o755)
    (site / "app/twin").hardlink_to(site / "app/deep/run")
    (site / "app/__pycache__").mkdir()
    (site / "app/__pycache__/x.pyc").write_bytes(b"x")
    (site / "not wanted").write_bytes(b"x")
    made = copied(site, tmp_path / "copy", skip="not wanted")
    run = tmp_path / "copy/app/deep/run"
    assert (run.read_bytes(), run.stat().st_mode & 0o777) == (b"#!/bin/sh\n", 0o755)
    assert run.stat().st_ino != (site / "app/deep/run").stat().st_ino
    run.write_bytes(b"changed")
    assert (site / "app/deep/run").read_bytes() == b"#!/bin/sh\n"
    assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == ["app", "deep", "run", "twin"]
    assert (made.files, made.size, made.left_out) == (2, 20, {})


def test_links_never_lead_to_what_is_live(tmp_path: Path):
    site, outside = tmp_path / "site", tmp_path / "outside"
    (site / "media").mkdir(parents=True)
    outside.mkdir()
    (outside / "photo").write_bytes(b"live")
    (site / "media/photo").write_bytes(b"inside")
    (site / "relative").symlink_to("media/photo")
    (site / "absolute").symlink_to(site / "media/photo")
    (site / "escapes").symlink_to("../outside/photo")
    (site / "folder").symlink_to(outside)
    (site / "dangling").symlink_to("nowhere")
    made = copied(site, tmp_path / "copy")
    copy = tmp_path / "copy"
    (copy / "relative").write_bytes(b"changed")
    (copy / "absolute").write_bytes(b"changed again")
    assert (copy / "media/photo").read_bytes() == b"changed again"
    assert (site / "media/photo").read_bytes() == b"inside"
    assert sorted(made.left_out) == ["escapes", "folder"]
    assert not os.path.lexists(copy / "escapes")
    assert os.readlink(copy / "dangling") == "nowhere"


def test_programs_are_links_and_uploads_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "MOST_DATA", 1000)
    site = tmp_path / "site"
    for name in (".venv/bin", "web/node_modules/x", "media/2026", "app"):
        (site / name).mkdir(parents=True)
    (site / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    (site / "media/2026/film").write_bytes(b"x" * 2000)
    (site / "app/large.bin").write_bytes(b"x" * 2000)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(site)
        listener.bind("app.sock")
        made = copied(site, tmp_path / "copy", "app")
    os.chdir("/")
    assert sorted(made.linked) == [".venv", "web/node_modules"]
    assert (tmp_path / "copy/.venv").is_symlink()
    assert (tmp_path / "copy/app/large.bin").stat().st_size == 2000  # part of the release, however large
    assert list((tmp_path / "copy/media").iterdir()) == []
    assert sorted(made.left_out) == ["app.sock", "media/"]


PLACES = Places(
    directory=Path("/srv/shop/.updater/rehearsal/1"),
    live_site=Path("/srv/shop"),
    live_tree=Path("/srv/shop/releases/1.0"),
    site=Path("/srv/shop/.updater/rehearsal/1/site"),
    tree=Path("/srv/shop/.updater/rehearsal/1/site/releases/2.0"),
)
COPY = "/srv/shop/.updater/rehearsal/1/site"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/shop", COPY),
        ("/srv/shop/db.sqlite3", f"{COPY}/db.sqlite3"),
        ("/srv/shop/releases/1.0/manage.py", f"{COPY}/releases/2.0/manage.py"),
        ("/srv/shop/current/manage.py", f"{COPY}/releases/2.0/manage.py"),
        ("sqlite:////srv/shop/shared/db?x=1", f"sqlite:///{COPY}/shared/db?x=1"),
        ("/usr/bin:/srv/shop/bin:/srv/shop", f"/usr/bin:{COPY}/bin:{COPY}"),
        ("/srv/shop2:/srv/shop-old:/mnt/srv/shop:x/srv/shop", "/srv/shop2:/srv/shop-old:/mnt/srv/shop:x/srv/shop"),
        ("manage.py", "manage.py"),
        ("", ""),
    ],
)
def test_paths_are_moved_into_the_copy_once(text: str, expected: str):
    assert moved(text, moves(PLACES)) == expected


@given(st.text(st.sampled_from("/srvshop.:2x "), max_size=40))
def test_no_path_into_the_site_is_left(text: str):
    found = moved(text, moves(PLACES)).replace(COPY, "")
    for word in found.replace(":", " ").split():
        assert word != "/srv/shop"
        assert not word.startswith("/srv/shop/")


# confinement


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    if not sandbox.available():
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


def confined(script: str, inside: Path) -> subprocess.CompletedProcess[str]:
    argv = sandbox.confined(["sh", "-c", script], inside)
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=inside)


@pytest.mark.parametrize(
    "script",
    [
        "echo x > ../live",
        "echo x >> ../live",
        "rm ../live",
        "mv ../live .",
        "ln ../live twin && echo x > twin",
        "mkdir ../folder",
        "ln -s live ../link",
        "cp ../live ../other",
        "sh -c 'sh -c \"echo x > ../live\"'",
        "truncate -s 0 ../live",
        "ln -s ../live link && echo x > link",
        "mkfifo ../pipe",
    ],
)
def test_nothing_outside_can_be_changed(inside: Path, script: str):
    live = inside.parent / "live"
    live.write_bytes(b"precious")
    done = confined(script, inside)
    assert done.returncode != 0
    assert live.read_bytes() == b"precious"
    assert sorted(path.name for path in inside.parent.iterdir()) == ["inside", "live"]


def test_inside_everything_is_allowed(inside: Path):
    done = confined(
        "set -e; cat /etc/hostname > /dev/null; mkdir a b; echo x > a/f; mv a/f b/g; ln b/g b/h; ln -s g b/i; rm b/h; "
        'rmdir a; truncate -s 0 b/g; python3 -c \'import sqlite3; sqlite3.connect("d").execute("create table t (x)")\'',
        inside,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (inside / "d").stat().st_size > 0


def test_how_a_program_ends_is_passed_on(inside: Path):
    assert confined("exit 7", inside).returncode == 7
    missing = sandbox.confined(["no-such-program"], inside)
    done = subprocess.run(missing, capture_output=True, text=True, check=False)
    assert (done.returncode, "no-such-program" in done.stderr) == (127, True)


# the scratch database's URL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40@h:1/d", {"PGDATABASE": "new", "PGPASSWORD": "p@", "PGOPTIONS": "-c a=b"}),
        ("postgres://h/d?sslmode=require&dbname=other", {"PGDATABASE": "new", "PGSSLMODE": "require"}),
        (
            "postgresql+psycopg:///d?host=/run/pg&options=-c%20x%3Dy",
            {"PGHOST": "/run/pg", "PGOPTIONS": "-c x=y -c a=b"},
        ),
    ],
)
def test_the_url_of_another_database(url: str, expected: dict[str, str]):
    found = for_database(url, "new", "-c a=b")
    env = connection_environment(found, {})
    assert {name: env.get(name) for name in expected} == expected
    assert found.split(":")[0] == url.split(":", maxsplit=1)[0]
