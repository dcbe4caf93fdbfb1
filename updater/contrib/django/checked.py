"""The last check and everything that was worked out with it, as a document beside the runs. Needs no Django.

Working out what an update would do reads every file of the release and asks the feed: that belongs into a process of
its own. The pages show this document, and the model mirrors it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from updater import Updater
from updater.contrib.django.runs.folder import RunFolder
from updater.errors import BlockedError, UpdaterError
from updater.frozen import frozen
from updater.install.component_changes import name_of
from updater.results import CheckResult, Plan
from updater.schema.document import format_time, parse_time
from updater.schema.feed import Release
from updater.schema.text import CORE
from updater.site.reading import read_json

__all__ = ["Checked", "perform_check", "read_checked"]

_MOST = 16 * 2**20
_MOST_NOTES = 100_000
"""Characters of notes that are kept of one release: its page has the rest."""


@frozen
class Checked:
    """What is known of one component. ``answer`` is that of ``updater check --json``; ``releases`` are all that an
    update passes, newest first; ``plan`` that of ``updater update --dry-run --json``, or None with ``blocked`` saying
    why; ``findings`` those of ``updater doctor``. ``error`` is why the last attempt (``tried_at``) failed; the rest is
    then of the last good one (``at``, None: never)."""

    component: str
    tried_at: datetime
    at: datetime | None = None
    answer: Mapping[str, Any] | None = None
    releases: tuple[Mapping[str, Any], ...] = ()
    plan: Mapping[str, Any] | None = None
    blocked: tuple[str, ...] = ()
    stops: bool = False
    findings: tuple[Mapping[str, str], ...] = ()
    error: Mapping[str, str] | None = None

    @property
    def version(self) -> str | None:
        """The version that waits; None when none does."""
        if self.answer is None or not self.answer.get("update_available"):
            return None
        return str(self.answer["latest_version"])

    @property
    def is_core(self) -> bool:
        return self.component == CORE

    @property
    def what(self) -> str:
        """The version that waits, with the name of the plugin or theme that it is of."""
        return name_of(self.component, self.version or "")

    @property
    def installed(self) -> str | None:
        """What was installed when it was checked."""
        return None if self.answer is None else self.answer.get("installed_version")

    def waiting(self, installed: str | None) -> str | None:
        """The version that waits, if the site is still at the version for which that was worked out."""
        return self.version if self.installed == installed else None

    def to_json(self) -> dict[str, Any]:
        """The document."""
        times = {"tried_at": format_time(self.tried_at), "at": None if self.at is None else format_time(self.at)}
        return {**self.__dict__, **times}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Checked:
        """Read one back. Raises ValueError, KeyError or TypeError when it is damaged."""
        known = {name: found[name] for name in cls.__dataclass_fields__ if name in found}
        known["tried_at"] = parse_time(found["tried_at"])
        known["at"] = None if found.get("at") is None else parse_time(found["at"])
        for name in ("releases", "blocked", "findings"):
            known[name] = tuple(found.get(name) or ())
        return cls(**known)


def read_checked(folder: RunFolder) -> dict[str, Checked]:
    """The last check of each component; empty when there was none, or the document is damaged."""
    try:
        found = read_json(folder.check_path, most=_MOST)
        return {str(name): Checked.from_json(one) for name, one in found["components"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def perform_check(updater: Updater, folder: RunFolder, now: datetime) -> dict[str, Checked]:
    """Ask the feeds, work out what each update would do, examine the site, and leave the document. By component, the
    app itself first.

    Raises UpdaterError when the app's feed could not be had; the document then says so as well.
    """
    component = updater.site.state().component
    known = read_checked(folder)
    try:
        result = updater.check()
    except UpdaterError as error:
        before = known.get(component, Checked(component, now))
        failed = {**before.__dict__, "tried_at": now, "error": _error(error)}
        _write(folder, {**known, component: Checked(**failed)})
        raise
    checked = {component: _checked(updater, result, now, component)}
    findings = tuple(finding.__dict__ for finding in updater.doctor())
    checked[component] = replace(checked[component], findings=findings)
    for other in result.components:
        checked[other.component] = _checked(updater, other, now, other.component)
    _write(folder, checked)
    return checked


def _checked(updater: Updater, result: CheckResult, now: datetime, component: str) -> Checked:
    plan, blocked = _plan(updater, result)
    return Checked(
        component=component,
        tried_at=now,
        at=now,
        answer={key: value for key, value in result.to_json().items() if key != "components"},
        releases=tuple(_release(release) for release in reversed(result.passed)),
        plan=None if plan is None else plan.to_json(),
        blocked=blocked,
        stops=plan is not None and plan.app_will_stop,
    )


def _plan(updater: Updater, result: CheckResult) -> tuple[Plan | None, tuple[str, ...]]:
    """What the update would do, or why there can be none. The app takes along what waits beside it; the others come
    one by one."""
    if result.release is None:
        return None, ()
    only = () if result.component == CORE else (result.component,)
    try:
        plan = updater.plan(result.release.version, components=only)
    except BlockedError as error:
        return None, (str(error), *(reason for reason in error.reasons if reason not in str(error)))
    except UpdaterError as error:
        return None, (str(error),)
    try:
        plan.changes.refuse_conflicts(f"The update to {plan.what}")
    except UpdaterError as error:
        return plan, (str(error),)
    return plan, ()


def _release(release: Release) -> dict[str, Any]:
    return {
        "version": release.version,
        "published": format_time(release.published),
        "critical": release.critical,
        "security": list(release.security),
        "notes": release.notes.markdown[:_MOST_NOTES],
        "translations": {name: text[:_MOST_NOTES] for name, text in release.notes.translations.items()},
        "notes_url": release.notes.url,
    }


def _error(error: UpdaterError) -> dict[str, str]:
    return {"kind": type(error).__name__, "message": str(error), "hint": error.hint}


def _write(folder: RunFolder, known: Mapping[str, Checked]) -> None:
    components = {name: checked.to_json() for name, checked in known.items()}
    folder.write_document(folder.check_path, {"schema": "1.0", "components": components})
