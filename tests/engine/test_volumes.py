"""Sites of which a part lies on another filesystem: bind mounts, volumes, a state directory elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.faults import KILLED, Faults, Kind, Strike
from tests.engine.filesystems import bound, divided, mounted, need_mounts, volume
from tests.engine.sweep import Scenario, in_child, side, steered
from tests.engine.world import FAILS, PRESERVE, SQLITE, V1, V2, World
from tests.support.packages import Symlink
from updater.errors import DiskSpaceError, PreflightError, RollbackError, RolledBackError
from updater.install.engine import Engine
from updater.install.journal import State
from updater.install.outcome import Outcome
from updater.install.preflight import MARGIN
from updater.install.space import Need, check_needs
from updater.install.volumes import is_other_filesystem, mount_points, volume_of
from updater.site import Layout, platform

ONE = {"app/a.py": b"1\n", "static/a.css": b"1\n", "static/gone/b.css": b"1\n", "static/l": Symlink("a.css")}
TWO = {"app/a.py": b"2\n", "static/a.css": b"2\n", "static/new/c.css": b"2\n", "static/l": Symlink("new")}


class DividedWorld(World):
    """A site in which some directories are mounted, as far as renames and links can tell."""

    borders: tuple[str, ...] = ()

    def _divided(self):
        return divided(*(self.path / border for border in self.borders))

    def update(self, *args, **fields) -> Outcome:
        with self._divided():
            return super().update(*args, **fields)

    def rollback(self, choice: str | None = None) -> Outcome:
        with self._divided():
            return super().rollback(choice)

    def recover(self, *, force: bool = True) -> Outcome | None:
        with self._divided():
            return super().recover(force=force)


class DividedScenario(Scenario):
    def __init__(self, home: Path, layout: Layout, operation: str, borders: tuple[str, ...]) -> None:
        self.borders = borders
        super().__init__(home, layout, operation)

    def copy(self, name: str) -> World:
        plain = super().copy(name)
        world = DividedWorld(plain.path, plain.layout)
        world.borders = self.borders
        return world


DIVIDED: list[tuple[Layout, tuple[str, ...]]] = [
    ("in-place", ("app", "old/deep")),
    ("in-place", (".updater",)),
    ("slots", (".updater",)),
    ("slots", ("releases", "shared")),
]


divided_sites = pytest.mark.parametrize(
    "layout, borders", DIVIDED, ids=[f"{layout}-{'+'.join(borders)}" for layout, borders in DIVIDED]
)


@pytest.mark.parametrize("kind, operation", [("kill", "update"), ("error", "rollback"), ("full", "update")])
@divided_sites
def test_a_sample_of_faults(tmp_path, layout, borders, operation, kind):
    offset = sum(map(len, (layout, operation, kind, *borders)))
    with DividedScenario(tmp_path / "sweep", layout, operation, borders) as scenario:
        points = scenario.points(kind)
        for index, at in enumerate(points[offset % 41 :: 1 + len(points) // 6]):
            scenario.case(Strike(kind, at), follow=index % 4 == 2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["kill", "error"])
@pytest.mark.parametrize("operation", ["update", "rollback"])
@divided_sites
def test_every_point(tmp_path, layout, borders, operation, kind: Kind):
    with DividedScenario(tmp_path / "sweep", layout, operation, borders) as scenario:
        for index, at in enumerate(scenario.points("kill")):
            scenario.case(Strike(kind, at), follow=index % 8 == 0)
            for strikes, then in scenario.doubles(at, kind, 3) if index % 15 == 3 else ():
                scenario.case(*strikes, then=then)


@pytest.fixture(params=["bind mount", "volume", "nested"])
def world(request, tmp_path):
    """In place, ``static`` on a filesystem of its own, an upload of the owner's in it."""
    need_mounts()
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    (world.tree / "static/gone/own.txt").write_bytes(b"mine")
    os.chown(world.tree / "static/gone/b.css", 1234, 5678)
    with ExitStack() as mounts:
        if request.param == "bind mount":
            mounts.enter_context(bound(world.tree / "static", tmp_path / "elsewhere"))
        else:
            mounts.enter_context(volume(world.tree / "static"))
        if request.param == "nested":
            mounts.enter_context(bound(world.tree / "static/gone", tmp_path / "second"))
        yield world


def hidden(world: World) -> list[Path]:
    return list(world.path.rglob(".updater-*"))


def test_forward_and_back(world):
    before = world.snapshot()
    outcome = world.update("2.0.0", TWO)
    assert (world.tree / "static/a.css").read_bytes() == b"2\n"
    assert (world.tree / "static/new/c.css").read_bytes() == b"2\n"
    assert os.readlink(world.tree / "static/l") == "new"
    assert not (world.tree / "static/gone/b.css").exists()
    assert (world.site.backups / outcome.id / "files/static/gone/b.css").read_bytes() == b"1\n"
    assert hidden(world) == []
    assert world.leftovers() == []
    world.rollback()
    assert world.snapshot() == before


def test_a_failed_update_is_undone(world):
    world.configure(FAILS)
    before = world.snapshot()
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert world.snapshot() == before
    assert hidden(world) == []


@pytest.mark.parametrize("where", ["stopping", "half-way", "migrating", "committed"])
def test_a_killed_update_is_recovered(world, where):
    before = world.snapshot()
    killed_at(world, where)
    assert hidden(world), "it was killed too early"
    recover(world)
    assert (world.version == "2.0.0") == (where == "committed")
    assert where == "committed" or world.snapshot() == before
    assert hidden(world) == []


def killed_at(world: World, where: str) -> None:
    """Update to 2.0.0 in a process that dies right after it has entered a state, or between two renames."""
    enter, replace, renamed = Engine._enter, platform.replace, []

    def entering(self: Engine, state: State, **details: object) -> None:
        enter(self, state, **details)
        if state.value == where:
            os._exit(KILLED)

    def replacing(source: Path, target: Path, **options: object) -> None:
        if "aside" in options:  # the switch, not one of our own documents
            renamed.append(target)
            if where == "half-way" and len(renamed) == 3:
                os._exit(KILLED)
        replace(source, target, **options)

    def work() -> None:
        with mock.patch.object(Engine, "_enter", entering), mock.patch.object(platform, "replace", replacing):
            world.update("2.0.0", TWO, commands=["migrate 2"])

    assert in_child(work, Faults()) == "killed"


def recover(world: World) -> None:
    with steered(Faults()):
        world.recover()


def test_a_filesystem_that_is_not_mounted_any_more_is_waited_for(tmp_path):
    """After a power cut the updater may start before the volume is mounted: nothing goes into the empty folder."""
    need_mounts()
    world = World(tmp_path / "site").create(SQLITE)
    world.update("1.0.0", ONE)
    before = world.snapshot()
    home = tmp_path / "elsewhere"
    with bound(world.tree / "static", home):
        killed_at(world, "migrating")
    assert list((world.tree / "static").iterdir()) == []
    with pytest.raises(RollbackError, match="not there") as caught:
        recover(world)
    assert caught.value.hint == f"Mount {world.tree / 'static'}, then run `updater recover`."
    assert list((world.tree / "static").iterdir()) == []
    with mounted("--bind", home, world.tree / "static"):
        recover(world)
        assert world.snapshot() == before


def test_a_full_volume_cannot_keep_an_update_from_going_back(tmp_path):
    need_mounts()
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    with volume(world.tree / "static"):
        before = world.snapshot()
        killed_at(world, "migrating")
        with pytest.raises(OSError), (world.tree / "static/filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**20))
        recover(world)
        (world.tree / "static/filler").unlink()
        assert world.snapshot() == before


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_a_state_directory_elsewhere(tmp_path, layout):
    """A link to a bigger disk: everything is on another filesystem than what is staged."""
    other = next((Path(place) for place in ("/var/tmp", "/tmp", "/dev/shm") if _is_other(Path(place), tmp_path)), None)
    if other is None:
        pytest.skip("needs a second filesystem")
    state = Path(subprocess.check_output(["mktemp", "-d", "-p", str(other)], text=True).strip())
    try:
        site = tmp_path / "site"
        site.mkdir()
        (site / ".updater").symlink_to(state)
        world = World(site, layout).create(SQLITE)
        world.update("1.0.0", V1, preserve=PRESERVE)
        world.add_row("one")
        before = side(world)
        world.update("2.0.0", V2, preserve=PRESERVE)
        assert (world.tree / "app/a.py").read_bytes() == b"VALUE = 2\n"
        world.rollback()
        after = side(world)
        assert after.rows == before.rows
        if layout == "in-place":
            assert after.tree == before.tree
        world.configure(SQLITE + FAILS)
        held = side(world)
        with pytest.raises(RolledBackError):
            world.update("2.0.0", V2, preserve=PRESERVE)
        assert side(world) == held
        assert [path for path in site.iterdir() if path.name.startswith(".updater-")] == []
    finally:
        shutil.rmtree(state)


def _is_other(one: Path, two: Path) -> bool:
    return one.is_dir() and is_other_filesystem(one, two)


# room


def test_each_filesystem_is_asked_for_what_will_be_written_to_it(tmp_path):
    need_mounts()
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    with volume(world.tree / "static", size="8m"):
        before = world.snapshot()
        with pytest.raises(DiskSpaceError, match="on the filesystem of") as caught:
            world.update("2.0.0", TWO | {"static/big": bytes(8 * 2**20)})
        assert f"{world.tree / 'static'}" in str(caught.value)
        assert "too few" in str(caught.value)
        assert caught.value.available < caught.value.needed < MARGIN
        assert world.snapshot() == before
        assert world.leftovers() == []
        world.update("2.0.0", TWO | {"app/big": bytes(8 * 2**20)})
        assert (world.tree / "static/a.css").read_bytes() == b"2\n"


def test_copies_in_the_restore_point_are_reckoned(tmp_path):
    """What lies on a volume cannot be linked into .updater, which is too small for a copy of it here."""
    need_mounts()
    big = {"static/big": os.urandom(20 * 2**20)}
    with mounted("-t", "tmpfs", "-o", "size=90m", "none", _folder(tmp_path / "disk")):
        world = World(tmp_path / "disk/site").create()
        world.update("1.0.0", ONE | big)
        with volume(world.tree / "static", size="90m"):
            (world.path / "filler").write_bytes(bytes(34 * 2**20))
            with pytest.raises(DiskSpaceError, match="copies of what is replaced") as caught:
                world.update("2.0.0", TWO)
            assert str(world.site.directory) in str(caught.value)
            (world.path / "filler").unlink()
            world.update("2.0.0", TWO)


def test_an_own_file_that_every_slot_needs_a_copy_of_is_reckoned(tmp_path):
    need_mounts()
    with mounted("-t", "tmpfs", "-o", "size=64m", "none", _folder(tmp_path / "disk")):
        world = World(tmp_path / "disk/site", "slots").create()
        world.update("1.0.0", ONE)
        (world.tree / "own").write_bytes(bytes(30 * 2**20))
        before = world.snapshot()
        with pytest.raises(DiskSpaceError, match="own files in the new slot"):
            world.update("2.0.0", TWO)
        assert world.snapshot() == before


def test_every_filesystem_that_lacks_room_is_named(tmp_path):
    need_mounts()
    with ExitStack() as mounts:
        places = [_folder(tmp_path / name) for name in ("one", "two", "three")]
        for place, size in zip(places, ("2m", "3m", "4m"), strict=True):
            mounts.enter_context(mounted("-t", "tmpfs", "-o", f"size={size}", "none", place))
        needs = [Need(place / "not/there/yet", 3 * 2**20 + 5, place.name) for place in places]
        with pytest.raises(DiskSpaceError) as caught:
            check_needs([*needs, Need(places[2], 2**20, "more")])
        text = str(caught.value)
        assert text == (
            f"Not enough disk space: 4 MiB needed for one on the filesystem of {places[0]}, 2 MiB free, 2 MiB too few; "
            f"4 MiB needed for two on the filesystem of {places[1]}, 3 MiB free, 1 MiB too few; "
            f"5 MiB needed for three, more on the filesystem of {places[2]}, 4 MiB free, 1 MiB too few."
        )
        check_needs([Need(place, 2**20, "") for place in places])


def test_files_are_counted_as_well(tmp_path):
    need_mounts()
    with mounted("-t", "tmpfs", "-o", "size=4m,nr_inodes=20", "none", _folder(tmp_path / "disk")) as place:
        check_needs([Need(place, 0, "the new files", 10)])
        with pytest.raises(DiskSpaceError, match=r"30 new files needed.*no inodes"):
            check_needs([Need(place, 0, "the new files", 10), Need(place, 0, "the new files", 20)])


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


# looking


def test_looking_changes_nothing_and_finds_bind_mounts(tmp_path):
    need_mounts()
    tree = _folder(tmp_path / "tree")
    for name in ("plain/deep", "a bind", "volume/inner"):
        _folder(tree / name)
    state = _folder(tmp_path / "state")
    with bound(tree / "a bind", tmp_path / "home"), volume(tree / "volume"):
        assert is_other_filesystem(state, tree / "a bind")
        assert (tree / "a bind").stat().st_dev == state.stat().st_dev, "only a rename can tell"
        assert not is_other_filesystem(state, tree / "plain/deep")
        known: dict[str, str | None] = {}
        found = {
            path: volume_of(tree, state, path, known) for path in ("", "plain/deep/no", "a bind/x/y", "volume/inner")
        }
        assert found == {"": None, "plain/deep/no": None, "a bind/x/y": "a bind", "volume/inner": "volume"}
        assert {str(tree / "a bind"), str(tree / "volume")} <= mount_points()
        assert sorted(path.name for path in tree.rglob("*")) == ["a bind", "deep", "inner", "plain", "volume"]
    with mounted("-t", "tmpfs", "none", _folder(tmp_path / "away")):
        assert volume_of(tree, tmp_path / "away", "plain", {}) == "", "the whole tree is elsewhere"


def test_a_read_only_volume_is_refused(world):
    before = world.snapshot()
    subprocess.run(["mount", "-o", "remount,bind,ro", str(world.tree / "static")], check=True)
    try:
        with pytest.raises(PreflightError, match="read-only: mount -o remount,rw"):
            world.update("2.0.0", TWO)
    finally:
        subprocess.run(["mount", "-o", "remount,bind,rw", str(world.tree / "static")], check=True)
    assert world.snapshot() == before
    assert world.leftovers() == []
