"""Django migrations of a tree, read without importing anything (``<app>/migrations/NNNN_name.py``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from feedgen.errors import SourceError
from feedgen.source.migration_operations import Facts, facts_of_module
from updater.schema.feed import Migrations

__all__ = ["Migration", "find_migrations", "migration_facts", "new_migrations", "removed_migrations"]

_MIGRATION = re.compile(r"(?P<folder>(?:.*/)?(?P<package>[^/]+)/)migrations/(?P<name>[0-9]{4,}_\w+)\.py", re.ASCII)

Files = Mapping[str, Callable[[], bytes]]
"""Paths of a tree, each with a way to read it."""


@dataclass(frozen=True)
class Migration:
    """One migration. ``label`` is the app's label; ``str()`` is the ``app.name`` of manifests and feeds."""

    label: str
    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.label}.{self.name}"


def find_migrations(files: Files) -> list[Migration]:
    """All migrations of a tree, in order of path. Raises SourceError when an ``apps.py`` next to one is not Python."""
    labels: dict[str, str] = {}
    found = []
    for path in sorted(files, key=lambda path: path.encode("utf-8", "surrogateescape")):
        if match := _MIGRATION.fullmatch(path):
            folder = match["folder"]
            if folder not in labels:
                labels[folder] = _label(folder, match["package"], files)
            found.append(Migration(labels[folder], match["name"], path))
    return found


def new_migrations(now: Files, before: Files) -> list[Migration]:
    """Migrations of ``now`` whose ``app.name`` is not in ``before``: moving an app's folder makes none new."""
    known = {str(migration) for migration in find_migrations(before)}
    return [migration for migration in find_migrations(now) if str(migration) not in known]


def removed_migrations(now: Files, before: Files) -> list[Migration]:
    """Migrations of ``before`` that ``now`` lacks, of apps that it still has: taken away after they were squashed, for
    example. A site that has not run them cannot go to ``now`` any more. An app that is gone as a whole needs nothing.
    """
    present = find_migrations(now)
    names, labels = {str(migration) for migration in present}, {migration.label for migration in present}
    return [found for found in find_migrations(before) if found.label in labels and str(found) not in names]


def migration_facts(migrations: Iterable[Migration], files: Files) -> Migrations:
    """Names, whether all can be reversed, whether any loses data, and whether code that lacks them works on a database
    that has them; None where reading the code does not tell.

    Without migrations: reversible, nothing is lost, and earlier code works. Judged by the operations' names (Django
    5.2), so a subclass or a helper counts as unknown, and so does an operation that may lose data by what it converts
    (``AlterField``).
    """
    listed = list(migrations)
    facts = [facts_of_module(files[migration.path]()) for migration in listed]
    together = Facts.of_all(facts)
    names = tuple(map(str, listed))
    return Migrations(names, together.reversible, together.destructive, together.backward_compatible)


def _label(folder: str, package: str, files: Files) -> str:
    path = f"{folder}apps.py"
    if path not in files:
        return package
    try:
        module = ast.parse(files[path]())
    except (SyntaxError, ValueError) as error:
        raise SourceError(
            f"{path} cannot be read as Python: {error}",
            hint="Run feedgen with the Python version that the app is written for.",
        ) from error
    configs = [node for node in module.body if isinstance(node, ast.ClassDef) and _is_app_config(node)]
    if len(configs) > 1:
        configs = [node for node in configs if _constant(node, "default") is True]
    label = _constant(configs[0], "label") if len(configs) == 1 else None
    return label if isinstance(label, str) else package


def _is_app_config(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("Config") for base in node.bases)


def _constant(node: ast.ClassDef, name: str) -> object:
    return next((value for key, value in _assignments(node) if key == name), None)


def _assignments(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Constant):
            yield ast.unparse(statement.target), statement.value.value
