"""How a site gets from where it is to the newest release: pure, by the rules that clients follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from packaging.version import Version

from updater.schema import Release

__all__ = ["Route", "routes"]


@dataclass(frozen=True)
class Route:
    """``first`` to ``last`` are the installed versions that go this way; ``steps`` are what they install, in order.

    ``newest``: nothing newer is offered. Without steps otherwise, there is no way on.
    """

    first: str
    last: str
    steps: tuple[str, ...]
    newest: bool = False


def routes(releases: Sequence[Release]) -> list[Route]:
    """The ways through a channel's releases, those of the newest versions first. Neighbours with one way share it."""
    rising = sorted(releases, key=lambda release: Version(release.version))
    ways: list[tuple[str, ...]] = [()] * len(rising)
    for place in reversed(range(len(rising))):
        step = _next(rising, place)
        if step is not None:
            ways[place] = (rising[step].version, *ways[step])
    last = max((place for place, release in enumerate(rising) if _offered(release)), default=-1)
    found = []
    for (way, newest), group in groupby(reversed(range(len(rising))), key=lambda place: (ways[place], place >= last)):
        places = list(group)
        found.append(Route(rising[places[-1]].version, rising[places[0]].version, way, newest))
    return found


def _next(rising: Sequence[Release], place: int) -> int | None:
    """The highest release that may be installed over the one at ``place``: not beyond a stop, not from too far."""
    here = Version(rising[place].version)
    stops = (index for index in range(place + 1, len(rising)) if rising[index].stop and rising[index].yanked is None)
    limit = next(stops, len(rising) - 1)
    for index in range(limit, place, -1):
        oldest = rising[index].requires.from_version
        if _offered(rising[index]) and (oldest is None or here >= Version(oldest)):
            return index
    return None


def _offered(release: Release) -> bool:
    return release.yanked is None and not release.halted and release.cohorts is None
