"""The matrix: which event meets which state, under which kind of site, and how it may end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "KINDS", "Case", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of site: layout, server and database."""

    name: str
    layout: str
    server: str
    postgresql: bool


KINDS = (
    Kind("sqlite-gunicorn-in-place", "in-place", "gunicorn", postgresql=False),
    Kind("postgresql-uvicorn-slots", "slots", "uvicorn", postgresql=True),
)

GOOD, BROKEN, UNLOADABLE = "1.1.0", "1.2.0", "1.3.0"
FORWARD = ("download", "staged", "prepared", "stopping", "applying", "migrating", "starting", "committed")
BACK = ("undoing", "undone")
EVENTS = ("kill", "hang", "error", "interrupt", "reboot", "full", "second", "lock-lost", "forward", "back")
HARMLESS = ("second", "lock-lost", "forward", "back")
"""What an update has to survive: a release that is good ends as the new version."""


@dataclass(frozen=True)
class Case:
    """``ends``: "old" or "new"; empty when either is right, as long as everything agrees."""

    kind: Kind
    state: str
    event: str
    to: str
    ends: str

    @property
    def name(self) -> str:
        return f"{self.kind.name}, {self.event} at {self.state}" + (f" of {self.to}" if self.to != GOOD else "")


def _ends(state: str, event: str) -> str:
    if state in BACK:
        return "old"
    if event in HARMLESS:
        return "new"
    if state == "committed":
        return "new" if event in ("kill", "hang", "reboot") else ""
    return "" if event == "full" else "old"


def _cases() -> list[Case]:
    found = []
    for kind in KINDS:
        for state in (*FORWARD, *BACK):
            for event in EVENTS:
                if event == "lock-lost" and state in ("download", "staged"):
                    continue  # nothing has begun that a journal could protect
                if event == "full" and kind.postgresql and state == "download":
                    continue
                to = BROKEN if state in BACK else GOOD
                found.append(Case(kind, state, event, to, _ends(state, event)))
        found += [Case(kind, "none", "broken release", to, "old") for to in (BROKEN, UNLOADABLE)]
    return found


CASES = _cases()
