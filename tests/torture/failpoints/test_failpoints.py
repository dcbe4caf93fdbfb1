"""Every call to the operating system fails or is the last one, in everything that changes a site; and two at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import _no_flushing, tmp_path  # noqa: F401 - fixtures
from tests.engine.faults import KINDS, Kind, Strike, applies
from tests.engine.operations import OPERATIONS
from tests.engine.sweep import LAYOUTS, Scenario
from tests.torture.figures import Figures

pytestmark = pytest.mark.torture

FIRSTS: tuple[Kind, ...] = ("error", "denied", "full", "read-only", "handles", "short", "interrupt")
"""What a call meets whose process then undoes the update itself."""

AFTER_A_DEATH, AFTER_A_FAILURE = 5, 2
"""Second faults for each first one: in the recovery after a kill; in the undoing after a call that failed."""


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_fault(tmp_path: Path, layout: str, operation: str) -> None:  # noqa: F811
    """Every call, reads included, with every kind of fault that it can meet."""
    with Figures(f"failpoints, {layout}: one fault") as figures, Scenario(tmp_path / "sweep", layout, operation) as it:
        for kind in KINDS:
            for index, at in enumerate(it.points(kind)):
                figures.add()
                if wrong := it.wrong(Strike(kind, at), follow=index % 8 == 0):
                    figures.wrong(wrong)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_faults(tmp_path: Path, layout: str, operation: str) -> None:  # noqa: F811
    """After a kill at every change: a fault in the recovery. After a failure of every call: a fault in what follows."""
    with Figures(f"failpoints, {layout}: two faults") as figures, Scenario(tmp_path / "sweep", layout, operation) as it:
        for at, name in enumerate(it.log, 1):
            kinds = [kind for kind in FIRSTS if applies(kind, name)]
            pairs = [*it.doubles(at, kinds[at % len(kinds)], AFTER_A_FAILURE)]
            if applies("kill", name):
                pairs += it.doubles(at, "kill", AFTER_A_DEATH)
            for strikes, then in pairs:
                figures.add()
                if wrong := it.wrong(*strikes, then=then):
                    figures.wrong(wrong)
