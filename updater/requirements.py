"""A release's requirements on packages against what the app's Python has: pure, with a row for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from updater.frozen import frozen
from updater.process.interpreter import Interpreter

__all__ = ["PackageCheck", "check_packages", "package_names"]


@frozen
class PackageCheck:
    """One requirement (PEP 508) and what was found. ``ok`` is None when the app's Python could not be asked.

    ``name`` is empty for a requirement that cannot be read.
    """

    required: str
    name: str
    found: str | None
    ok: bool | None

    @property
    def problem(self) -> str:
        """Why it is not met, as a clause; empty when it is, or nobody knows."""
        if self.ok is not False:
            return ""
        if not self.name:
            return f"its requirement on packages, {self.required!r}, cannot be read"
        has = f"has {self.name} {self.found}" if self.found else f"has no {self.name}"
        return f"needs {self.required}, the app's Python {has}"

    def to_json(self) -> dict[str, Any]:
        return {"required": self.required, "found": self.found, "ok": self.ok}


def package_names(requirements: Iterable[str]) -> list[str]:
    """The packages that requirements name, each once; those that cannot be read are left out."""
    names = []
    for text in requirements:
        try:
            names.append(Requirement(text).name)
        except InvalidRequirement:
            continue
    return sorted(set(names))


def check_packages(requirements: Sequence[str], app: Interpreter | None) -> tuple[PackageCheck, ...]:
    """One row for each requirement that applies to the app's Python, in order."""
    rows = []
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            rows.append(PackageCheck(text, "", None, ok=False))
            continue
        if app is None:
            rows.append(PackageCheck(text, wanted.name, None, ok=None))
        elif wanted.marker is None or wanted.marker.evaluate({**app.markers, "extra": ""}):
            found = app.versions.get(wanted.name)
            rows.append(PackageCheck(text, wanted.name, found, ok=found is not None and _fits(wanted, found)))
    return tuple(rows)


def _fits(wanted: Requirement, found: str) -> bool:
    try:
        return wanted.specifier.contains(found, prereleases=True)
    except InvalidVersion:
        return not wanted.specifier  # an old-style version that cannot be compared
