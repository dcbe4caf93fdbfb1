"""The command line on a site whose update was killed half-way and whose own records were damaged as well.

tests/cli/test_hostile.py damages sites that are whole. Here an update waits to be undone: whatever its records say,
the program ends with a documented code and one clear message, destroys nothing, and when the damaged file is put back
the old version comes back whole.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.sites import Result
from tests.engine.world import OWN, World
from tests.torture.fuzz.guard import message_problem
from tests.torture.fuzz.kept import all_cases
from tests.torture.fuzz.recovering import LAYOUTS, contents, copy, interrupted
from updater.cli import main
from updater.cli.exits import Exit
from updater.site import Layout

_KINDS = {
    "journal": "journal",
    "plan": "staging/*/transaction.json",
    "restore-point": "backups/*2.0.0/restore_point.json",
    "site-json": "site.json",
    "history": "history.jsonl",
    "status": "status.json",
    "lock": "lock",
    "failed-releases": "failed.json",
}
_NOTES = {
    "empty": b"",
    "a-list": b"[]",
    "nested": b"[" * 3000,
    "paths-outside": b'{"new": ["../../x"], "emptied": {"../..": {}}, "files": {"../x": "y"}, "folders": ["/"]}',
    "wrong-types": b'{"new": 5, "emptied": {"old": "x"}, "inode": "7", "files": [], "folders": {"a": 1}}',
    "numbers": b'{"new": [], "emptied": {"old": [-1, 1e9, true]}, "inode": -1, "files": {"a": 1}, "folders": [1]}',
    "not-utf-8": b'{"new": ["\xff"]}',
}
_LOOKING = (("status",), ("status", "--json"), ("history",), ("verify",), ("doctor",), ("backup", "list", "--json"))
_LOOKING += (("history", "--json"), ("backup", "list"), ("verify", "--json"), ("doctor", "--json"))


def _cases() -> Iterator[tuple[str, Layout, str, bytes]]:
    """What is damaged how: its name, the layout, the file below ``.updater`` and its new content."""
    number = 0
    for target, name, data, _ in all_cases():
        if target in _KINDS:
            number += 1
            yield f"{target}-{name}", LAYOUTS[number % 2], _KINDS[target], data
    for name, data in _NOTES.items():
        yield f"directories-{name}", "in-place", "staging/*/directories.json", data
        yield f"slot-{name}", "slots", "staging/*/slot.json", data
        yield f"shared-{name}", "slots", "staging/*/shared.json", data
        yield f"staged-settings-{name}", "in-place", "staging/*/settings.json", data
        yield f"staged-manifest-{name}", "slots", "staging/*/manifest.json", data


CASES = {name: (layout, file, data) for name, layout, file, data in _cases()}
SAMPLED = [
    pytest.param(number, name, marks=pytest.mark.torture if number % 3 else ()) for number, name in enumerate(CASES)
]
"""Every third in `make test`: each file, each way of damaging it and each command that looks is among them."""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError("there is no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def run(site: Path, *words: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--site", str(site), *words])
    told = out.getvalue() + err.getvalue()
    assert code in set(Exit), told
    assert message_problem(err.getvalue() if "--json" in words else told) is None, told
    assert "Traceback" not in told
    assert "bug in updater" not in told
    assert "this check itself failed" not in told
    assert err.getvalue().count("error:") <= 1
    assert code != Exit.DONE or "error:" not in err.getvalue()
    if "--json" in words:
        json.loads(out.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    return Result(code, out.getvalue(), err.getvalue())


def owners_files(world: World) -> dict[str, bytes]:
    homes = {path: world.shared if path.startswith("media/") else world.tree for path in OWN}
    return {path: (home / path).read_bytes() for path, home in homes.items()}


def fresh(layout: Layout, folder: Path) -> World:
    """A copy of the interrupted site."""
    template, _ = interrupted(layout)
    world = World(copy(template, folder / "site"), layout)
    for identity in world.site.staging.glob("*/slot.json"):
        (built,) = (*world.site.releases.glob(".new-*"), *world.site.releases.glob("2.0.0"))
        identity.write_text(json.dumps({"inode": built.stat().st_ino}))
    return world


def place_of(world: World, pattern: str) -> Path:
    """The file that a pattern names; one that the site does not have yet stands where it would be."""
    newest = max(path.name for path in world.site.backups.iterdir())
    pattern = pattern.replace("*2.0.0", newest)
    found = sorted(world.site.directory.glob(pattern))
    return found[-1] if found else world.site.directory / pattern.replace("*", next(world.site.staging.iterdir()).name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_damage_the_old_version_comes_back(layout: Layout, tmp_path: Path):
    world = fresh(layout, tmp_path)
    assert contents(world.snapshot()) != contents(interrupted(layout)[1])
    assert run(world.path, "recover").code == Exit.DONE
    assert contents(world.snapshot()) == contents(interrupted(layout)[1])
    assert world.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), SAMPLED, ids=str)
def test_damaged_records_of_an_interrupted_update(number: int, name: str, tmp_path: Path):
    layout, pattern, data = CASES[name]
    world = fresh(layout, tmp_path)
    place = place_of(world, pattern)
    whole = place.read_bytes() if place.exists() else None
    data = data.replace(b"20260201-000000-000001", place.parent.name.encode())
    place.write_bytes(data)
    owners = owners_files(world)
    run(world.path, *_LOOKING[number % len(_LOOKING)])
    done = run(world.path, "recover")
    # nobody may be told that nothing was changed when an update stands half-way; without site.json there is no site
    assert done.code in (Exit.DONE, Exit.FAILED if pattern == "site.json" else Exit.NEEDS_HUMAN), done.err
    assert owners_files(world) == owners
    if done.code != Exit.DONE:
        assert re.search(r"next:|hint", done.err), done.err
        again = run(world.path, "recover")
        assert again.code == done.code
        if whole is not None:
            place.write_bytes(whole)
            assert run(world.path, "recover").code == Exit.DONE
    elif pattern == "journal" and not data.endswith(b"\n"):
        return  # an empty or shorter journal says that nothing had begun
    if done.code != Exit.DONE or pattern != "journal":
        assert contents(world.snapshot()) == contents(interrupted(layout)[1]), done
