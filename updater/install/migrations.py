"""Which database migrations lie between two releases, and what the feed says of them: pure, standard library only.

The lists of a manifest and of a feed name what is new since the *previous* release. An update may jump over several,
so that what it brings is put together here from all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from updater.frozen import frozen
from updater.schema.feed import Migrations
from updater.schema.manifest import Manifest

__all__ = ["UpdateMigrations", "migrations_between", "migrations_of"]

_MIGRATION = re.compile(r"(?:.*/)?(?P<package>[^/]+)/migrations/(?P<name>[0-9]{4,}_\w+)\.py", re.ASCII)
"""Where Django keeps them; the publisher finds them by the same rule (docs/formats.md section 4)."""


@frozen
class UpdateMigrations:
    """The migrations of one update, with what is known of all of them together; None for "not known".

    ``names`` are as the maintainer's tools print them, ``files`` as `migrations_of` finds them; ``destructive_in`` and
    ``irreversible_in`` name the releases that brought such ones.
    """

    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reversible: bool | None = True
    destructive: bool | None = False
    backward_compatible: bool | None = True
    destructive_in: tuple[str, ...] = ()
    irreversible_in: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What a restore point remembers of the update that replaced it."""
        return {"names": list(self.files), "backward_compatible": self.backward_compatible}


def migrations_of(manifest: Manifest | None) -> frozenset[str]:
    """Every migration that a release has, by the files it lists; for an app that keeps them elsewhere, those that its
    manifest says are new in it."""
    if manifest is None:
        return frozenset()
    found = (_MIGRATION.fullmatch(path) for path in manifest.files)
    listed = frozenset(f"{match['package']}.{match['name']}" for match in found if match is not None)
    return listed or frozenset(manifest.migrations)


def migrations_between(
    old: Manifest | None, new: Manifest, passed: Mapping[str, Migrations | None]
) -> UpdateMigrations:
    """What an update from ``old`` to ``new`` brings. ``passed``: what the feed says of each release after the old one,
    up to and with the new one, by version.

    A migration of the new release that none of these names was counted elsewhere: then nothing is known for certain.
    """
    if old is None:
        first = tuple(sorted(migrations_of(new)))
        return UpdateMigrations(first, first)  # there is no earlier code, and nothing that could be lost
    told = {version: found for version, found in passed.items() if found is not None and _says_something(found)}
    fresh = migrations_of(new) - migrations_of(old)
    listed = (name for found in told.values() for name in found.names)
    named = list(dict.fromkeys(listed)) or [name for name in new.migrations if name in fresh]
    known = _covered(fresh, named)
    return UpdateMigrations(
        names=tuple(named) + (() if known else tuple(sorted(fresh.difference(named)))),
        files=tuple(sorted(fresh)),
        reversible=_all_true((found.reversible for found in told.values()), known=known),
        destructive=_any_true((found.destructive for found in told.values()), known=known),
        backward_compatible=_all_true((found.backward_compatible for found in told.values()), known=known),
        destructive_in=tuple(version for version, found in told.items() if found.destructive),
        irreversible_in=tuple(version for version, found in told.items() if found.reversible is False),
    )


def _says_something(found: Migrations) -> bool:
    return bool(found.names) or bool(found.destructive) or found.reversible is False


def _covered(fresh: frozenset[str], named: Iterable[str]) -> bool:
    """Whether each new file is one that is named. The label of an app may differ from its folder: names decide."""
    left = [name.rpartition(".")[2] for name in named]
    for name in (name.rpartition(".")[2] for name in fresh):
        if name not in left:
            return False
        left.remove(name)
    return True


def _all_true(values: Iterable[bool | None], *, known: bool) -> bool | None:
    listed = list(values)
    return False if False in listed else None if None in listed or not known else True


def _any_true(values: Iterable[bool | None], *, known: bool) -> bool | None:
    listed = list(values)
    return True if True in listed else None if None in listed or not known else False
