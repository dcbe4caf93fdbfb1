"""What an update does to the database, put together from all releases that it jumps over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.packages import make_package
from updater.install.migrations import UpdateMigrations, migrations_between, migrations_of
from updater.schema.feed import Migrations
from updater.schema.manifest import Manifest

SAFE = {"reversible": True, "destructive": False, "backward_compatible": True}


def release(version: str, *migrations: str, listed: tuple[str, ...] = ()) -> Manifest:
    """A release that has these migrations as files, and lists others as new."""
    files = {f"{name.split('.')[0]}/migrations/{name.split('.')[1]}.py": b"" for name in migrations}
    return make_package(files | {"x": b""}, version=version, migrations=listed).manifest


ONE = release("1.0", "a.0001_initial")
TWO = release("2.0", "a.0001_initial", "a.0002_b")
THREE = release("3.0", "a.0001_initial", "a.0002_b", "a.0003_c")


def test_migrations_are_found_by_their_files_or_else_by_the_list():
    assert migrations_of(THREE) == {"a.0001_initial", "a.0002_b", "a.0003_c"}
    assert migrations_of(release("1.0", listed=("a.0002_b",))) == {"a.0002_b"}
    assert migrations_of(None) == frozenset()


def test_one_release_that_is_passed_decides_for_all():
    passed = {"2.0": Migrations(("a.0002_b",), **SAFE), "3.0": Migrations(("a.0003_c",), **SAFE)}
    found = migrations_between(ONE, THREE, passed)
    assert (found.names, found.files) == (("a.0002_b", "a.0003_c"), ("a.0002_b", "a.0003_c"))
    assert (found.reversible, found.destructive, found.backward_compatible) == (True, False, True)
    passed["2.0"] = Migrations(("a.0002_b",), reversible=False, destructive=True, backward_compatible=False)
    found = migrations_between(ONE, THREE, passed)
    assert (found.reversible, found.destructive, found.backward_compatible) == (False, True, False)
    assert (found.destructive_in, found.irreversible_in) == (("2.0",), ("2.0",))


def test_what_nobody_speaks_of_is_not_known():
    found = migrations_between(ONE, THREE, {"3.0": Migrations(("a.0003_c",), **SAFE)})
    assert found.names == ("a.0003_c", "a.0002_b")
    assert (found.reversible, found.destructive, found.backward_compatible) == (None, None, None)
    old_feed = {"2.0": Migrations(("a.0002_b",), True, False)}  # without the flag
    assert migrations_between(ONE, TWO, old_feed).backward_compatible is None
    assert migrations_between(ONE, TWO, {"2.0": None}).backward_compatible is None


def test_labels_may_differ_from_folders():
    found = migrations_between(ONE, TWO, {"2.0": Migrations(("sales.0002_b",), **SAFE)})
    assert (found.names, found.files, found.backward_compatible) == (("sales.0002_b",), ("a.0002_b",), True)


def test_without_migrations_everything_is_safe():
    nothing = UpdateMigrations((), (), True, False, True)
    assert migrations_between(TWO, release("2.1", "a.0001_initial", "a.0002_b"), {"2.1": None}) == nothing
    assert migrations_between(TWO, ONE, {}) == nothing
    assert migrations_between(None, TWO, {}).names == ("a.0001_initial", "a.0002_b")


flags = st.one_of(st.none(), st.booleans())
entries = st.builds(Migrations, st.sampled_from([("a.0002_b",), ("a.0003_c",), ("a.0002_b", "a.0003_c"), ()]))
entries = st.builds(Migrations, entries.map(lambda found: found.names), flags, flags, flags)


@given(st.dictionaries(st.sampled_from(["1.5", "2.0", "3.0"]), st.one_of(st.none(), entries)))
def test_nothing_is_safe_unless_it_is_said_of_every_migration(passed):
    found = migrations_between(ONE, THREE, passed)
    told = {
        version: entry
        for version, entry in passed.items()
        if entry is not None and (entry.names or entry.destructive or entry.reversible is False)
    }
    named = [name for entry in told.values() for name in entry.names]
    everything = {"a.0002_b", "a.0003_c"} <= set(named)
    if found.backward_compatible:
        assert everything
        assert all(entry.backward_compatible for entry in told.values())
    if found.destructive is False:
        assert everything
        assert all(entry.destructive is False for entry in told.values())
    if found.reversible:
        assert all(entry.reversible for entry in told.values())
    assert {"a.0002_b", "a.0003_c"} <= set(found.names)
