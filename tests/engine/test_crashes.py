"""An update that is killed, or whose disk fails, at any single change ends as the old version or as the new one."""

from __future__ import annotations

import pytest

from tests.engine.faults import Kind
from tests.engine.sweep import OPERATIONS, Scenario

LAYOUTS = ("in-place", "slots")
KINDS: tuple[Kind, ...] = ("kill", "error", "full", "interrupt")
STRIDES = {"kill": 1, "error": 1, "full": 3, "interrupt": 3}
"""A full disk and Ctrl-C take the ways of an error: every third point is enough of them."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sample_of_all_points(tmp_path, layout, operation, kind):
    scenario = Scenario(tmp_path / "sweep", layout, operation)
    offset = sum(map(len, (layout, operation, kind)))
    for index, at in enumerate(range(1 + offset % 29, len(scenario.log) + 1, 29)):
        scenario.case(kind, at, follow=index % 4 == 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_point(tmp_path, layout, operation, kind):
    scenario = Scenario(tmp_path / "sweep", layout, operation)
    for at in range(1, len(scenario.log) + 1, STRIDES[kind]):
        scenario.case(kind, at, follow=at % 8 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kill", "error"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fault_in_the_recovery_of_a_fault(tmp_path, layout, operation, kind):
    scenario = Scenario(tmp_path / "sweep", layout, operation)
    for index, at in enumerate(range(3, len(scenario.log) + 1, 5)):
        scenario.case(kind, at, then_at=1 + index * 7 % 60)
