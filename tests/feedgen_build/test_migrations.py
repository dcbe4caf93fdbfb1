"""Which Django migrations are new, and what they do to data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from examples.shop.make_repo import make_repo
from feedgen.build import build_release
from feedgen.errors import SourceError
from feedgen.source.django_migrations import find_migrations, migration_facts, new_migrations, removed_migrations
from feedgen.source.git import Repository
from tests.feedgen_build.repo import Repo, config


def tree(files: Mapping[str, str]) -> dict[str, object]:
    return {path: (lambda text=text: text.encode()) for path, text in files.items()}


def migration(operations: str, after: str = "") -> str:
    return (
        "from django.db import migrations, models\n\n\ndef forwards(apps, schema_editor):\n    pass\n\n\n"
        f"class Migration(migrations.Migration):\n    dependencies = []\n    operations = {operations}\n{after}"
    )


def facts(*sources: str) -> tuple[bool | None, bool | None]:
    files = tree({f"shop/migrations/{n:04}_x.py": source for n, source in enumerate(sources, start=1)})
    found = migration_facts(find_migrations(files), files)
    assert len(found.names) == len(sources)
    return found.reversible, found.destructive


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ("[]", (True, False)),
        ("[migrations.AddField('a', 'b', models.TextField()), migrations.AddIndex('a', x)]", (True, False)),
        ("[migrations.RemoveField('a', 'b')]", (True, True)),
        ("[migrations.DeleteModel('a'), helper()]", (None, True)),
        ("[migrations.AlterField('a', 'b', models.CharField(max_length=3))]", (True, None)),
        ("[migrations.RunPython(forwards)]", (False, None)),
        ("[migrations.RunPython(forwards, reverse_code=None)]", (False, None)),
        ("[migrations.RunPython(forwards, migrations.RunPython.noop)]", (True, None)),
        ("[migrations.RunPython(migrations.RunPython.noop, reverse_code=forwards)]", (True, False)),
        ("[migrations.RunSQL('CREATE VIEW x')]", (False, None)),
        ("[migrations.RunSQL('create view x', reverse_sql='drop view x')]", (True, None)),
        ("[migrations.RunSQL(['Drop TABLE x'], 'CREATE TABLE x')]", (True, True)),
        ("[migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel('a')])]", (True, False)),
        ("[migrations.SeparateDatabaseAndState([migrations.DeleteModel('a')])]", (True, True)),
        ("[migrations.SeparateDatabaseAndState(database_operations=steps)]", (None, None)),
        ("[*steps]", (None, None)),
        ("[migrations.RunPython(*steps)]", (None, None)),
        ("[OurOwn()]", (None, None)),
        ("[OurOwn(), migrations.RunPython(forwards)]", (False, None)),
        ("steps", (None, None)),
        ("[] + steps", (None, None)),
    ],
)
def test_operations_are_judged_without_optimism(operations: str, expected: tuple[bool | None, bool | None]) -> None:
    assert facts(migration(operations)) == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ("[]", True),
        ("[migrations.CreateModel('a', []), migrations.AddIndex('a', x)]", True),
        ("[migrations.AddField('a', 'b', models.TextField(null=True))]", True),
        ("[migrations.AddField('a', 'b', field=models.IntegerField(db_default=0))]", True),
        ("[migrations.AddField('a', 'b', models.ManyToManyField('c'))]", True),
        ("[migrations.AddField('a', 'b', models.IntegerField(default=0))]", False),  # Django drops the default again
        ("[migrations.AddField('a', 'b', models.TextField(null=False))]", False),
        ("[migrations.AddField('a', 'b', models.TextField(null=NULLABLE))]", None),
        ("[migrations.AddField('a', 'b', models.TextField(**options))]", None),
        ("[migrations.AddField('a', 'b', ours.Field())]", None),
        ("[migrations.AddField('a', 'b', ours.Field(null=True))]", True),
        ("[migrations.AddField('a', 'b', field)]", None),
        ("[migrations.AddConstraint('a', x)]", None),
        ("[migrations.RemoveConstraint('a', 'x')]", True),
        ("[migrations.RenameField('a', 'b', 'c')]", False),
        ("[migrations.RemoveField('a', 'b')]", False),
        ("[migrations.AlterField('a', 'b', models.TextField())]", None),
        ("[migrations.RunPython(forwards)]", None),
        ("[migrations.RunPython(migrations.RunPython.noop)]", True),
        ("[migrations.RunSQL('create view x')]", None),
        ("[migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel('a')])]", True),
        ("[OurOwn(), migrations.DeleteModel('a')]", False),
        ("steps", None),
    ],
)
def test_whether_earlier_code_works_on_the_new_database(operations: str, expected: bool | None) -> None:
    files = tree({"shop/migrations/0001_x.py": migration(operations)})
    assert migration_facts(find_migrations(files), files).backward_compatible is expected


def test_operations_changed_later_are_not_known() -> None:
    assert facts(migration("[]", "    operations += more\n")) == (None, None)
    assert facts(migration("[]", "\nMigration.operations.append(more)\n")) == (None, None)
    assert facts("class Migration: pass") == (None, None)
    assert facts("this is not python") == (None, None)


def test_one_step_decides_for_all() -> None:
    assert facts(migration("[]"), migration("[migrations.RemoveField('a', 'b')]")) == (True, True)
    assert facts(migration("[OurOwn()]"), migration("[migrations.RunPython(forwards)]")) == (False, None)
    assert facts() == (True, False)


def test_migrations_are_found_by_their_place_and_labelled_by_their_app() -> None:
    files = {
        "shop/catalog/migrations/0002_b.py": "",
        "shop/catalog/migrations/0001_initial.py": "",
        "shop/catalog/migrations/__init__.py": "",
        "shop/catalog/migrations/helpers.py": "",
        "shop/catalog/tests/0001_x.py": "",
        "orders/migrations/0001_initial.py": "",
        "orders/apps.py": "class Orders(AppConfig):\n    name = 'orders'\n    label = 'sales'\n",
        "two/migrations/0001_initial.py": "",
        "two/apps.py": "class A(AppConfig):\n label = 'a'\nclass B(AppConfig):\n label: str = 'b'\n default = True\n",
        "plain/migrations/0001_initial.py": "",
        "plain/apps.py": "label = 'no'\nclass A(AppConfig):\n    label = name\n",
        "migrations/0001_top.py": "",
    }
    assert [str(found) for found in find_migrations(tree(files))] == [
        "sales.0001_initial",
        "plain.0001_initial",
        "catalog.0001_initial",
        "catalog.0002_b",
        "b.0001_initial",
    ]


def test_moving_an_app_makes_nothing_new() -> None:
    before = tree({"catalog/migrations/0001_initial.py": ""})
    now = tree({"src/catalog/migrations/0001_initial.py": "", "src/catalog/migrations/0002_x.py": ""})
    assert [str(found) for found in new_migrations(now, before)] == ["catalog.0002_x"]


def test_migrations_that_are_gone_are_told_unless_their_app_is_gone_too() -> None:
    before = tree({f"{app}/migrations/000{n}_x.py": "" for app in ("catalog", "old") for n in (1, 2)})
    now = tree({"src/catalog/migrations/0002_x.py": "", "src/catalog/migrations/0003_squashed.py": ""})
    assert [str(found) for found in removed_migrations(now, before)] == ["catalog.0001_x"]
    assert removed_migrations(before, before) == []


def test_an_apps_file_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"a/apps\.py cannot be read as Python"):
        find_migrations(tree({"a/apps.py": "class", "a/migrations/0001_initial.py": ""}))


def test_the_example_shop(tmp_path: Path) -> None:
    make_repo(tmp_path / "shop")
    built = {
        tag: build_release(tmp_path / "shop", tag, tmp_path, config())
        for tag in Repository(tmp_path / "shop").tags_merged_into("HEAD")
    }
    first, second, third = (built[tag] for tag in ("v1.0.0", "v1.1.0", "v1.2.0"))
    assert first.previous_version is None
    assert first.manifest.deleted == ()
    assert "catalog.0001_initial" in first.manifest.migrations
    assert second.previous_version == "1.0.0"
    assert second.manifest.deleted == tuple(
        sorted(path for path in first.manifest.files if path not in second.manifest.files)
    )
    assert second.manifest.deleted
    assert "catalog.0002_prices_in_cents" in second.manifest.migrations
    assert "catalog.0001_initial" not in second.manifest.migrations
    assert second.migrations is not None
    assert (second.migrations.names, second.migrations.destructive) == (second.manifest.migrations, True)
    assert second.migrations.backward_compatible is False
    assert all(name.startswith("catalog.") for name in third.manifest.migrations)
    assert third.notes_markdown


def test_the_previous_release_is_one_that_was_merged(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"a/migrations/0001_initial.py": migration("[]"), "old": "x", "Case": "x"})
    repo.git("branch", "maintenance")
    repo.release("v1.1.0-rc.1", {"a/migrations/0002_b.py": migration("[]"), "old": None})
    repo.release("v1.1.0", {"a/migrations/0003_c.py": migration("[]"), "Case": None, "case": "x"})
    repo.git("tag", "v1.0.5", repo.git("commit-tree", "-p", "maintenance", "-m", "x", "maintenance^{tree}"))
    built = repo.build("v1.1.0", tmp_path)
    assert built.previous_version == "1.0.0"
    assert built.manifest.deleted == ("old",)
    assert built.manifest.migrations == ("a.0002_b", "a.0003_c")
    candidate = repo.build("v1.1.0-rc.1", tmp_path)
    assert (candidate.channel, candidate.manifest.migrations) == ("beta", ("a.0002_b",))


def test_a_tree_without_django_has_no_facts(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"a": "a"})
    assert repo.build("v1.0.0", tmp_path).migrations is None


def test_the_previous_release_is_read_with_its_own_settings(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    then = '[app]\nname = "shop"\n[build]\nexclude = ["never/"]\n[publish]\nbase_url = "https://acme.example/"\n'
    repo.release("v1.0.0", {"feedgen.toml": then, "never/f": "x", "now-out/f": "x", "a": "a"})
    repo.release("v1.1.0", {"b": "b", "never/f": None})
    built = repo.build("v1.1.0", tmp_path, config(build='exclude = ["now-out/"]'))
    assert built.manifest.deleted == ("now-out/f",)
