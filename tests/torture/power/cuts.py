"""What a disk may hold after a power cut: everything that was flushed, and any part of what was not."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.torture.power.filesystems import copy_sparse
from tests.torture.power.log_disk import Entry

_SUBSETS = (0.5, 0.85, 0.15)
"""How likely each unflushed write is to survive, in the random subsets of one interval."""


@dataclass(frozen=True)
class Cut:
    """One image: everything before ``flushed``, of what follows the writes ``kept``, and of the write ``torn`` only
    the first ``length`` bytes. Numbers count the entries of the log; the next flush is at ``until``."""

    flushed: int
    until: int
    kept: frozenset[int]
    torn: int | None = None
    length: int = 0

    def __str__(self) -> str:
        torn = "" if self.torn is None else f", {self.length} bytes of {self.torn}"
        return f"flushed up to {self.flushed} of {self.until}, kept {sorted(self.kept)}{torn}"

    def must(self, log: Sequence[Entry]) -> list[str]:
        """The marks that the updater had passed when it was cut at the latest: what it promised by then must hold."""
        return [entry.text for entry in log[: self.until] if entry.kind == "mark"]

    def may(self, log: Sequence[Entry]) -> list[str]:
        """The marks that lie before the last write of the image: nothing later can be in it."""
        last = max([self.flushed, *self.kept, self.torn or 0])
        return [entry.text for entry in log[: last + 1] if entry.kind == "mark"]


def plan(log: Sequence[Entry], sector: int, rng: random.Random, *, per_interval: int = 0) -> list[Cut]:
    """The images of a log: at every write, all before it, and part of it (whole sectors of ``sector`` bytes); between
    any two flushes, none and random choices of the writes. At most ``per_interval`` of each interval (0: all)."""
    found: list[Cut] = []
    for start, end in _intervals(log):
        writes = [at for at in range(start, end) if log[at].kind == "write"]
        none = Cut(start, end, frozenset())
        cuts: dict[Cut, None] = {}
        for index, at in enumerate(writes):
            before = frozenset(writes[:index])
            cuts[Cut(start, end, before | {at})] = None
            sectors = len(log[at].data) // sector
            if sectors > 1:
                cuts[Cut(start, end, before, at, sector * rng.randrange(1, sectors))] = None
        if len(writes) > 1:
            for chance in _SUBSETS:
                reach = writes[: rng.randrange(1, len(writes) + 1)]
                cuts[Cut(start, end, frozenset(at for at in reach if rng.random() < chance))] = None
        cuts.pop(none, None)
        rest = list(cuts)
        if per_interval and len(rest) > per_interval - 1:
            rest = rng.sample(rest, per_interval - 1)
        found += [none, *rest]
    return found


def _intervals(log: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """From flush to flush; the last one ends with the log. One without a write is the same as the one before it,
    and is passed over unless there was a mark in it."""
    start = 0
    for at, entry in enumerate(log):
        if entry.kind == "flush":
            if any(inner.kind != "flush" for inner in log[start:at]):
                yield start, at
            start = at
    yield start, len(log)


def spread(cuts: Sequence[Cut], count: int) -> list[Cut]:
    """``count`` of them, evenly."""
    if len(cuts) <= count:
        return list(cuts)
    return [cuts[at * len(cuts) // count] for at in range(count)]


def images(base: Path, log: Sequence[Entry], cuts: Iterable[Cut], image: Path) -> Iterator[Cut]:
    """Write each cut's disk into ``image``, one after the other, in the order of their intervals. ``base`` is the disk
    when the log begins, and is used up."""
    done = 0
    with base.open("r+b", buffering=0) as flushed:
        for cut in cuts:
            for entry in log[done : cut.flushed]:
                _apply(flushed.fileno(), entry)
            done = cut.flushed
            copy_sparse(base, image)
            with image.open("r+b", buffering=0) as out:
                for at in sorted(cut.kept):
                    _apply(out.fileno(), log[at])
                if cut.torn is not None:
                    os.pwrite(out.fileno(), log[cut.torn].data[: cut.length], log[cut.torn].offset)
            yield cut


def _apply(disk: int, entry: Entry) -> None:
    if entry.kind == "write":
        os.pwrite(disk, entry.data, entry.offset)
