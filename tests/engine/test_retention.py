"""Which restore points go: a pure choice, and what deleting does when a point has lost files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.test_going_back import A, B, C, content
from tests.engine.world import World
from updater.errors import BlockedError
from updater.install.overview import refuse_last_good
from updater.install.point_check import glance_at_all
from updater.install.restore_points import delete, list_restore_points
from updater.install.retention import PointFacts, choose_to_prune, prune
from updater.schema.site_config import BackupConfig

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ages = st.integers(-5, 400)  # a clock that was set back makes points of the future
histories = st.lists(st.tuples(ages, st.booleans()), max_size=12)


def facts(history: list[tuple[int, bool]]) -> list[PointFacts]:
    return [PointFacts(f"{n:03}", NOW - timedelta(days=age), good) for n, (age, good) in enumerate(history)]


@given(history=histories, max_backups=st.integers(0, 6), max_age_days=st.integers(0, 300))
def test_whatever_the_limits_a_way_back_stays(history, max_backups, max_age_days):
    points = facts(history)
    gone, reasons = choose_to_prune(points, NOW, max_backups, max_age_days)
    left = [point for point in points if point.id not in gone]
    assert set(reasons) == {point.id for point in points}
    assert sorted(gone) == list(gone)
    assert len(left) > 0 or not points
    if any(point.good for point in points):
        newest_good = max(point.id for point in points if point.good)
        assert newest_good in {point.id for point in left}
    else:
        newest_good = max((point.id for point in points), default="")
    # the limits hold for all others, and nothing else goes
    for rank, point in enumerate(sorted(points, key=lambda point: point.id, reverse=True), start=1):
        too_many = 0 < max_backups < rank
        too_old = max_age_days > 0 and NOW - point.created > timedelta(days=max_age_days)
        assert (point.id in gone) == ((too_many or too_old) and point.id != newest_good)
        assert ("goes" in reasons[point.id]) == (point.id in gone)


@given(history=histories, max_backups=st.integers(0, 6), max_age_days=st.integers(0, 300))
def test_choosing_twice_is_choosing_once(history, max_backups, max_age_days):
    points = facts(history)
    gone, _ = choose_to_prune(points, NOW, max_backups, max_age_days)
    left = [point for point in points if point.id not in gone]
    again, _ = choose_to_prune(left, NOW, max_backups, max_age_days)
    assert again == ()


def test_reasons_are_sentences():
    _, reasons = choose_to_prune(facts([(300, True), (200, False), (1, False)]), NOW, 1, 250)
    assert reasons == {
        "000": "stays although it is number 3 of at most 1: it is the newest good one",
        "001": "goes: it is number 2 of at most 1",
        "002": "stays",
    }


def test_points_go_by_age(tmp_path):
    world = World(tmp_path / "site").create("[backup]\nmax_backups = 0\nmax_age_days = 30\n")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    world.now = lambda: moment
    for number in range(4):
        world.update(f"{number}.0", A if number % 2 else B)
        moment += timedelta(days=20)
    assert [point.version for point in list_restore_points(world.site)] == ["2.0", "1.0"]
    moment += timedelta(days=1000)
    world.update("9.0", C)
    assert [point.version for point in list_restore_points(world.site)] == ["3.0"]


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_the_last_good_one_outlives_newer_ones_that_are_damaged(tmp_path, layout):
    world = World(tmp_path / "site", layout).create()
    world.update("1.0", A)
    good = world.update("2.0", B)
    for version, files in (("3.0", C), ("4.0", A), ("5.0", B)):
        damaged = world.update(version, files)
        (world.site.backups / damaged.id / "manifest.json").unlink()
    prune(world.site, BackupConfig(max_backups=2), NOW)
    points = list_restore_points(world.site)
    if layout == "slots":
        assert [point.version for point in points] == ["4.0", "3.0", "1.0"]
        assert points[-1].id == good.id
        with pytest.raises(BlockedError, match="the only restore point that is not damaged"):
            refuse_last_good(world.site, points[-1])
        refuse_last_good(world.site, points[0])  # a damaged one may go
        world.rollback("1.0")
        assert content(world) == A
    else:  # the way back leads through the damaged ones: none is good, and the limit holds
        assert [point.version for point in points] == ["4.0", "3.0"]


def test_an_heir_does_not_seem_whole_when_what_it_inherits_is_lost(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0", {"same": b"1", "f": b"1"})
    world.update("2.0", {"same": b"1", "f": b"2"})
    world.update("3.0", {"same": b"3", "f": b"3"})
    newest, oldest = list_restore_points(world.site)
    (newest.files / "same").unlink()
    delete(world.site, newest)
    problems = glance_at_all(world.site, list_restore_points(world.site))[oldest.id]
    assert len(problems) == 1
    assert "files/same cannot be read" in problems[0]
