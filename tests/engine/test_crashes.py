"""Samples of the sweeps in tests/torture/failpoints: a site whose updater dies, or whose disk fails, at any single call
ends as the old version or as the new one."""

from __future__ import annotations

import pytest

from tests.engine.faults import KINDS, Strike
from tests.engine.operations import OPERATIONS
from tests.engine.sweep import LAYOUTS, Scenario


def sample(scenario: Scenario, stride: int) -> int:
    """Every ``stride``-th pair of a kind of fault and a call that it can strike. Returns how many."""
    pairs = [Strike(kind, at) for kind in KINDS for at in scenario.points(kind)]
    offset = sum(map(len, (scenario.layout, scenario.operation.name)))
    chosen = pairs[offset % stride :: stride]
    for index, strike in enumerate(chosen):
        scenario.case(strike, follow=index % 4 == 2)
    return len(chosen)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_few_faults_of_every_operation(tmp_path, layout, operation):
    with Scenario(tmp_path / "sweep", layout, operation) as scenario:
        assert sample(scenario, 151) > 2


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_faults_of_every_operation(tmp_path, layout, operation):
    with Scenario(tmp_path / "sweep", layout, operation) as scenario:
        sample(scenario, 67)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fault_in_the_recovery_of_a_fault(tmp_path, layout, operation):
    with Scenario(tmp_path / "sweep", layout, operation) as scenario:
        for at in scenario.points("kill")[7::53]:
            for strikes, then in (*scenario.doubles(at, "kill", 3), *scenario.doubles(at, "error", 2)):
                scenario.case(*strikes, then=then)


READS = ("lstat", "scandir", "listdir")


@pytest.mark.parametrize(
    ("layout", "operation"),
    [("in-place", "rollback"), ("slots", "update"), ("in-place", "export"), ("slots", "delete")],
)
def test_a_disk_that_does_not_answer_is_not_an_empty_one(tmp_path, layout, operation):
    """Once an unreadable file was taken for a missing one: a rollback deleted it, a switch of slots put the old file
    into the new slot, an export left the database out, and all of them said that they were done."""
    with Scenario(tmp_path / "sweep", layout, operation) as scenario:
        looks = [at for at in scenario.points("denied") if scenario.log[at - 1] in READS]
        assert len(looks) > 10
        for index, at in enumerate(looks[:: 1 + len(looks) // 45]):
            scenario.case(Strike("error" if index % 2 else "denied", at))
