"""The cost model of ranges: every wanted byte is covered once, in few requests, with little beside it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from updater.acquire.ranges import REQUEST, Located, cover, share
from updater.schema.manifest import ManifestFile


def located(start: int, size: int) -> Located:
    return Located(ManifestFile(f"f{start}", "", size), start, size, stored=True)


@st.composite
def packages(draw: st.DrawFn) -> list[Located]:
    """Some of the members of a package."""
    found, position = [], 0
    for size, gap, wanted in draw(
        st.lists(st.tuples(st.integers(0, 60_000), st.integers(31, 40_000), st.booleans()), max_size=150)
    ):
        position += gap
        if wanted:
            found.append(located(position, size))
        position += size
    return found


@given(packages(), st.integers(1, 60), st.integers(0, 50_000))
def test_every_file_lies_in_exactly_one_range(files: list[Located], most: int, gap: int) -> None:
    ranges = cover(files[::-1], gap=gap, most=most)
    assert len(ranges) <= most
    assert [file for item in ranges for file in item.files] == [file for file in files if file.packed_size]
    for item in ranges:
        assert item.start == item.files[0].start and item.end == item.files[-1].end
    for before, after in pairwise(ranges):
        assert before.end < after.start


@given(packages())
def test_no_gap_is_fetched_that_costs_more_than_a_request_unless_there_are_too_many(files: list[Located]) -> None:
    ranges = cover(files)
    if len(ranges) < 60:
        for item in ranges:
            for before, after in pairwise(item.files):
                assert after.start - before.end <= REQUEST


def test_when_there_are_too_many_the_smallest_gaps_are_closed() -> None:
    files = [located(0, 10), located(100_000, 10), located(130_000, 10), located(400_000, 10)]
    assert [(item.start, item.end) for item in cover(files, most=3)] == [
        (0, 10),
        (100_000, 130_010),
        (400_000, 400_010),
    ]
    assert len(cover(files, most=1)) == 1


def test_equal_gaps_never_leave_more_ranges_than_allowed() -> None:
    assert len(cover([located(n * 100_000, 10) for n in range(200)], most=60)) <= 60


@given(packages(), st.integers(1, 8))
def test_sharing_keeps_every_file(files: list[Located], connections: int) -> None:
    ranges = cover(files)
    shared = share(ranges, connections)
    assert [file for item in shared for file in item.files] == [file for item in ranges for file in item.files]


def test_a_large_range_is_cut_between_files_for_more_connections() -> None:
    files = [located(n * 1_000_100, 1_000_000) for n in range(16)]
    assert len(cover(files)) == 1
    shared = share(cover(files), 4)
    assert len(shared) == 4
    assert max(item.size for item in shared) < 6_000_000
    assert len(share(cover(files[:2]), 4)) == 1, "too small to be worth a request"
    assert len(share(cover([located(0, 10**8)]), 4)) == 1, "one file is one range"
