"""What can be fuzzed: a name, first inputs, a way to change them, and a function with its declared errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.torture.fuzz.mutations import Mutator

__all__ = ["Target", "Wrong", "stateless"]

Work = Callable[[bytes], None]


class Wrong(AssertionError):
    """An input was accepted, or understood, in a way that it must not be."""


@dataclass(frozen=True)
class Target:
    """``open(folder)`` prepares a folder and returns what takes one input; that raises one of ``allowed`` to refuse it,
    and returns when the input was accepted and is what it seems to be. ``share``: executions of a full run; ``weight``:
    how many times as long an execution takes as most do."""

    name: str
    what: str
    seeds: Callable[[], list[bytes]]
    mutate: Mutator
    open: Callable[[Path], Work]
    allowed: tuple[type[Exception], ...]
    share: int
    weight: int = 1

    @property
    def sample(self) -> int:
        """Executions on every run of the tests."""
        return max(15, self.share // (46 * self.weight))


def stateless(work: Work) -> Callable[[Path], Work]:
    """For parsers that need no folder."""
    return lambda folder: work
