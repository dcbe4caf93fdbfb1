"""Names that are one file to some filesystems: told apart where they are two, never lost where they are one."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.conftest import MEMORY
from tests.engine.faults import KILLED, Faults, Kind, Strike
from tests.engine.filesystems import as_user
from tests.engine.folding import folding
from tests.engine.sweep import in_child, steered
from tests.engine.world import FAILS, LAYOUTS, World, release
from tests.support.packages import Symlink
from updater.errors import RolledBackError
from updater.install.engine import Engine
from updater.install.journal import State
from updater.install.names import is_listed, names_in
from updater.schema.paths import twins
from updater.site import Layout

Files = dict[str, bytes | Symlink]
RENAMES: dict[str, tuple[Files, Files]] = {
    "a file": ({"README.md": b"one", "x": b"1"}, {"Readme.md": b"two", "x": b"1"}),
    "a file, unchanged": ({"README.md": b"same", "x": b"1"}, {"Readme.md": b"same", "x": b"1"}),
    "a folder": ({"Docs/a.txt": b"1", "Docs/b.txt": b"1"}, {"docs/a.txt": b"1", "docs/c.txt": b"2"}),
    "a folder above": ({"Docs/en/a.txt": b"1", "Docs/top": b"1"}, {"docs/en/a.txt": b"2", "docs/top": b"1"}),
    "a module": ({"App.py": b"V = 1\n"}, {"app.py": b"V = 2\n"}),
    "sharp s": ({"stra\u00dfe": b"1"}, {"strasse": b"2"}),
    "accents": ({"CAF\u00c9.txt": b"1"}, {"caf\u00e9.txt": b"2"}),
    "a link": ({"Link": Symlink("x"), "x": b"1"}, {"link": Symlink("x"), "x": b"1"}),
    "file to link": ({"Name": b"1", "x": b"1"}, {"name": Symlink("x"), "x": b"1"}),
}


@pytest.fixture(scope="module", params=["folding", "folding and decomposing", "telling apart"])
def filesystem(request):
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as home:
        if request.param == "telling apart":
            yield Path(home)
            return
        with folding(Path(home) / "below", Path(home) / "mounted", decompose="decomposing" in request.param) as mount:
            yield mount


@pytest.fixture
def place(filesystem):
    """A directory on a filesystem that takes names for one another, and on one that does not."""
    yield Path(tempfile.mkdtemp(dir=filesystem))


def renames(place: Path, layout: Layout, old: Files, new: Files) -> None:
    """Forward, back, and forward in vain."""
    world = World(place / "site", layout).create()
    world.update("1.0.0", old)
    before = listing(world)
    world.update("2.0.0", new)
    assert_is(world, new)
    world.rollback()
    assert_is(world, old)
    assert listing(world) == before
    world.configure(FAILS)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", new)
    assert_is(world, old)
    assert listing(world) == before
    assert world.leftovers() == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_that_differ_by_case_alone(place, layout):
    """All of them in one update."""
    old: Files = {}
    new: Files = {}
    for before, after in RENAMES.values():
        old |= before
        new |= after
    renames(place, layout, old, new)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RENAMES)
def test_each_kind_of_them(place, layout, name):
    renames(place, layout, *RENAMES[name])


def listing(world: World) -> dict[str, bytes]:
    """The names as the directories list them."""
    skip = (".updater", "updater.toml")
    paths = [path for path in world.tree.rglob("*") if path.relative_to(world.tree).parts[0] not in skip]
    return {
        path.relative_to(world.tree).as_posix(): b"" if path.is_symlink() or path.is_dir() else path.read_bytes()
        for path in paths
    }


def assert_is(world: World, files: dict) -> None:
    names = {unicodedata.normalize("NFC", name) for name in listing(world)}
    folders = {name.rpartition("/")[0] for name in files if "/" in name}
    folders |= {name.rpartition("/")[0] for name in folders if "/" in name}
    assert names == {*files, *folders, "version.json"}
    for name, content in files.items():
        path = world.tree / name
        assert os.readlink(path) == content if isinstance(content, Symlink) else path.read_bytes() == content


def test_undoing_twice_does_not_take_the_old_file_for_the_new_one(place):
    """Killed when all is back, but before that is written down: the second time, the new name leads to the old file."""
    enter = Engine._enter

    def entering(self: Engine, state: State, **details: object) -> None:
        if state is State.UNDONE:
            os._exit(KILLED)
        enter(self, state, **details)

    def work() -> None:
        with mock.patch.object(Engine, "_enter", entering):
            world.update("2.0.0", RENAMES["a file"][1] | RENAMES["a folder above"][1])

    old = RENAMES["a file"][0] | RENAMES["a folder above"][0]
    world = World(place / "site").create()
    world.update("1.0.0", old)
    world.configure(FAILS)
    before = listing(world)
    assert as_user(os.geteuid(), work) == "killed"
    assert listing(world) == before
    world.recover()
    assert listing(world) == before
    assert not list(world.site.backups.rglob("*.during-update"))


@pytest.mark.parametrize("kind", ["kill", "error"])
def test_a_sample_of_faults_in_such_a_rename(tmp_path, kind):
    faults_in_a_rename(tmp_path, kind, range(90, 400, 70))


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["kill", "error"])
def test_a_fault_anywhere_in_such_a_rename(tmp_path, kind):
    faults_in_a_rename(tmp_path, kind, range(1, 400))


def faults_in_a_rename(tmp_path: Path, kind: Kind, points: Iterable[int]) -> None:
    """On a filesystem that folds: a fault, a recovery that is itself cut short, and another one."""
    old = RENAMES["a file"][0] | RENAMES["a folder above"][0]
    new = RENAMES["a file"][1] | RENAMES["a folder above"][1]
    with folding(tmp_path / "below", tmp_path / "mounted") as mount:
        start = World(mount / "start/site").create()
        with steered(Faults()):
            start.update("1.0.0", old)
        before = listing(start)
        with steered(counting := Faults()):
            _copy(start, mount / "count").update("2.0.0", new)
        struck = counting.points("kill")
        assert len(struck) < 400
        for index in points:
            if index > len(struck):
                break
            at = struck[index - 1]
            world = _copy(start, mount / "case")
            in_child(lambda world=world: world.update("2.0.0", new), Faults(Strike(kind, at)))
            in_child(world.recover, Faults(Strike(kind, 1 + at * 7 % 40)))
            with steered(Faults()):
                world.recover()
            label = (at, counting.log[at - 1])
            if world.version == "2.0.0":
                assert_is(world, new)
            else:
                assert listing(world) == before, label
            assert not list(world.site.backups.rglob("*.during-update")), label


def _copy(world: World, home: Path) -> World:
    subprocess.run(["rm", "-rf", str(home)], check=True)
    subprocess.run(["cp", "-a", str(world.path.parent), str(home)], check=True)
    return World(home / "site", world.layout)


def test_own_files_in_a_folder_that_changes_its_case(place):
    world = World(place / "site").create()
    world.update("1.0.0", {"Docs/a.txt": b"1"})
    (world.tree / "Docs/mine").write_bytes(b"mine")
    world.update("2.0.0", {"docs/a.txt": b"2"})
    assert (world.tree / "docs/a.txt").read_bytes() == b"2"
    assert (world.tree / "Docs/mine").read_bytes() == b"mine"
    world.rollback()
    assert (world.tree / "Docs/a.txt").read_bytes() == b"1"
    assert (world.tree / "Docs/mine").read_bytes() == b"mine"


def test_a_file_of_the_owners_under_another_spelling_is_not_overwritten(tmp_path):
    with folding(tmp_path / "below", tmp_path / "mounted") as mount:
        world = World(mount / "site").create()
        world.update("1.0.0", {"x": b"1"})
        (world.tree / "NOTES").write_bytes(b"mine")
        conflicts = world.changes(release("2.0.0", {"x": b"1", "notes": b"theirs"})[0]).conflicts
        assert conflicts == ("notes exists on this site but is not part of the installed release",)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_edited_file_that_stays_is_not_overwritten_under_another_spelling(filesystem, place, layout):
    """On a filesystem that folds, what is kept as README.md cannot lie beside a new Readme.md."""
    world = World(place / "site", layout).create('[policy]\nedited = "keep"\n')
    world.update("1.0.0", RENAMES["a file"][0])
    (world.tree / "README.md").write_bytes(b"mine")
    found = world.changes(release("2.0.0", RENAMES["a file"][1])[0])
    assert found.kept == ("README.md",)
    if filesystem.is_mount():
        assert found.conflicts == ("Readme.md is the same file as README.md here, which stays as the owner's",)
        world.configure("")
    world.update("2.0.0", RENAMES["a file"][1])
    assert (world.tree / "Readme.md").read_bytes() == b"two"
    if filesystem.is_mount():
        world.rollback()
    assert (world.tree / "README.md").read_bytes() == b"mine"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_own_names_in_both_normal_forms_stay_apart(tmp_path, layout):
    composed, decomposed = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", {composed: b"the release's", "x": b"1"})
    (world.tree / decomposed).write_bytes(b"mine")
    world.update("2.0.0", {"x": b"2"})
    assert not (world.tree / composed).exists()
    assert (world.tree / decomposed).read_bytes() == b"mine"


def test_the_directory_is_asked_not_the_platform(tmp_path):
    (tmp_path / "A").mkdir()
    for name in ("A/one", "A/ONE", "e\u0301"):
        (tmp_path / name).touch()
    assert is_listed(tmp_path, "A/one")
    assert is_listed(tmp_path, "A/ONE")
    assert not is_listed(tmp_path, "a/one")
    assert not is_listed(tmp_path, "A/One")
    assert not is_listed(tmp_path, "A/one/below")
    assert names_in(tmp_path) == ["A", "e\u0301"]
    assert twins(["A/one", "a/ONE", "b", "x/A/one"]) == {"a/one": ["A/one", "a/ONE"]}
