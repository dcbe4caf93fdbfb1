"""A test suite that never failed proves nothing: broken clients, one line each, and the tests that notice them."""

from __future__ import annotations

import pytest

from tests.torture.figures import Figures
from tests.torture.mutants.mutant import caught, check_applies, copy_project
from tests.torture.mutants.table import MUTANTS

SAMPLE = ("the health check takes any answer", "compiled files are left")
"""Two that are quick to catch: `make test` shows that the machinery works, `make torture` runs all."""


def test_there_are_enough_of_them_and_each_breaks_a_line_that_is_there():
    assert len(MUTANTS) >= 25
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        check_applies(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_is_caught(name, tmp_path):
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    assert caught(mutant, copy_project(tmp_path))


@pytest.mark.torture
@pytest.mark.parametrize("part", range(4))
def test_nearly_all_are_caught_and_survivors_are_explained(part, tmp_path):
    project = copy_project(tmp_path)
    with Figures("broken clients") as figures:
        for mutant in MUTANTS[part::4]:
            noticed = caught(mutant, project)
            figures.add("mutants")
            figures.add("caught", int(noticed))
            if not noticed and not mutant.survives:
                figures.wrong(f"{mutant.name} survives")
