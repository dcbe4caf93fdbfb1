"""Where an update's bytes can come from and what that costs: pure functions of the feed and of what is known.

The cost of a way is its bytes, and `REQUEST` more for each request. A way that needs a byte of the full zip's files
one by one must save a twentieth of it: the whole zip is one request, and its one digest is signed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

from updater.acquire.ranges import REQUEST
from updater.frozen import frozen
from updater.schema.feed import Delta, Release

__all__ = ["Hop", "SourceKind", "SourceOption", "best_route", "choose", "saves"]

SourceKind = Literal["local", "delta", "deltas", "index", "directory", "package"]
"""Nothing is fetched; one delta; a chain of deltas; changed files, found through the package's index or through its own
directory; the whole package."""

_NAMES: dict[SourceKind, str] = {
    "local": "this site",
    "index": "changed files, by the index",
    "directory": "changed files, by the zip's directory",
    "package": "full zip",
}
_NOT_LOOKED_INTO: dict[SourceKind, str] = {
    "delta": "not looked into: whole files are larger than what changed in them",
    "deltas": "not looked into: whole files are larger than what changed in them",
    "index": "not looked into: the index says the same in fewer bytes",
    "local": "not needed",
}
_MOST_HOPS = 8
_LEAST_SAVING = 0.05


@frozen
class Hop:
    """One delta, and the release that it leads to."""

    release: Release
    delta: Delta


@frozen
class SourceOption:
    """One way to get a release. ``size``: bytes of the whole way, whatever of it is here already; not ``exact``: at
    least so many. ``files``: how many files' content it brings; None where that is not known. ``why``: a clause."""

    kind: SourceKind
    size: int
    requests: int
    exact: bool = True
    files: int | None = None
    why: str = ""
    versions: tuple[str, ...] = ()
    failed: bool = False
    chosen: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        if self.kind == "delta":
            return f"delta from {self.versions[0]}"
        if self.kind == "deltas":
            return f"deltas {' → '.join(self.versions)}"
        return _NAMES[self.kind]

    @property
    def cost(self) -> int:
        return self.size + self.requests * REQUEST

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.name,
            "kind": self.kind,
            "bytes": self.size,
            "exact": self.exact,
            "files": self.files,
            "requests": self.requests,
            "chosen": self.chosen,
            "reason": self.why,
        }


def best_route(
    releases: Iterable[Release], installed: str | None, target: str, *, without: Iterable[str] = ()
) -> tuple[Hop, ...]:
    """The cheapest deltas that lead one after the other from ``installed`` to ``target``; empty when none do.

    ``without``: digests of deltas that failed.
    """
    if installed is None:
        return ()
    failed = set(without)
    leading: dict[str, list[Hop]] = {}
    for release in releases:
        for delta in release.deltas:
            if delta.sha256 not in failed:
                leading.setdefault(delta.from_version, []).append(Hop(release, delta))
    queue: list[tuple[int, int, str, tuple[Hop, ...]]] = [(0, 0, installed, ())]
    done: set[str] = set()
    tie = 0
    while queue:
        cost, _, version, route = heapq.heappop(queue)
        if version == target:
            return route
        if version in done or len(route) == _MOST_HOPS:
            continue
        done.add(version)
        for hop in leading.get(version, ()):
            tie += 1
            heapq.heappush(queue, (cost + hop.delta.size + REQUEST, tie, hop.release.version, (*route, hop)))
    return ()


def saves(option_cost: int, full_cost: int) -> bool:
    """Whether a way of this cost is worth it beside the whole package."""
    return option_cost <= full_cost * (1 - _LEAST_SAVING)


def choose(options: Sequence[SourceOption], kind: SourceKind) -> tuple[SourceOption, ...]:
    """The table of ways, each with its reason: the chosen one, then from the cheapest to the dearest, and last those of
    which only the least cost is known."""
    chosen = next(option for option in options if option.kind == kind and not option.failed)
    others = [option for option in options if option is not chosen]
    others.sort(key=lambda option: (not option.exact, option.cost))
    why = chosen.why or ("the smallest" if others else "the only way")
    return (replace(chosen, chosen=True, why=why), *(_explained(option, chosen) for option in others))


def _explained(option: SourceOption, chosen: SourceOption) -> SourceOption:
    if option.why:
        return option
    if not option.exact:
        return replace(option, why=_NOT_LOOKED_INTO.get(chosen.kind, "not looked into: it saves too little"))
    if option.size <= chosen.size:
        return replace(option, why="more requests, or it saves too little to take single files")
    return replace(
        option, why=f"{option.size / max(chosen.size, 1):,.1f} times the bytes" if chosen.size else "not needed"
    )
