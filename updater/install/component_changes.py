"""Which components a transaction takes from which version to which (standard library only)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from updater.frozen import frozen
from updater.schema.assembly import Parts
from updater.schema.document import Reader
from updater.schema.text import CORE, check_name, check_version

__all__ = ["ComponentChange", "changes_between", "describe", "name_of"]


@frozen
class ComponentChange:
    """One component. ``from_version`` is None for one that comes, ``to_version`` for one that goes."""

    component: str
    from_version: str | None
    to_version: str | None

    @property
    def failure_key(self) -> str | None:
        """Under which name failures of this release are remembered; None when there is no release."""
        return None if self.to_version is None else name_of(self.component, self.to_version)

    def to_json(self) -> dict[str, Any]:
        return {"component": self.component, "from": self.from_version, "to": self.to_version}

    @classmethod
    def read(cls, reader: Reader) -> ComponentChange:
        """Read one back; what is wrong becomes problems of the reader."""
        return cls(
            reader.text("component", check=check_name),
            reader.optional_text("from", check=check_version),
            reader.optional_text("to", check=check_version),
        )


def name_of(component: str, version: str) -> str:
    """A release for people: ``1.4.0`` of the core, ``theme-dark 2.0.0`` of another component."""
    return version if component == CORE else f"{component} {version}"


def changes_between(old: Parts | None, new: Parts | None) -> tuple[ComponentChange, ...]:
    """What differs between two states of a site, the core first."""
    before, after = ({} if parts is None else parts.versions() for parts in (old, new))
    names = [CORE, *sorted({*before, *after} - {CORE})]
    changes = (ComponentChange(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in changes if change.from_version != change.to_version)


def describe(changes: Iterable[ComponentChange]) -> str:
    """For people: ``1.4.0`` of the core alone, else ``theme-dark 2.0.0``, ``1.4.0 and theme-dark 2.0.0``."""
    texts = []
    for change in changes:
        if change.to_version is None:
            texts.append(f"the removal of {change.component}")
        else:
            texts.append(name_of(change.component, change.to_version))
    return " and ".join((", ".join(texts[:-1]), texts[-1])) if len(texts) > 1 else "".join(texts)
