"""The way that the page shows is the way that clients take."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from feedgen.page.upgrade import Route, routes
from tests.feedgen_page.made_up import START, release
from updater.schema import Feed, Release, Requires, Yank
from updater.selection import select


def ways(releases: list[Release]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(way.first, way.last, way.steps) for way in routes(releases)]


def test_straight_to_the_newest() -> None:
    found = routes([release("1.0.0"), release("1.1.0"), release("1.2.0")])
    assert found == [Route("1.2.0", "1.2.0", (), newest=True), Route("1.0.0", "1.1.0", ("1.2.0",))]


def test_stops_and_requirements() -> None:
    listed = [
        release("1.0.0"),
        release("1.1.0", stop=True),
        release("1.2.0"),
        release("2.0.0", requires=Requires(from_version="1.2.0")),
    ]
    assert ways(listed) == [
        ("2.0.0", "2.0.0", ()),
        ("1.2.0", "1.2.0", ("2.0.0",)),
        ("1.1.0", "1.1.0", ("1.2.0", "2.0.0")),
        ("1.0.0", "1.0.0", ("1.1.0", "1.2.0", "2.0.0")),
    ]


def test_withdrawn_releases_are_left_and_never_reached() -> None:
    found = routes([release("1.0.0"), release("1.1.0", yanked=Yank("bad")), release("1.2.0", halted=True)])
    assert found == [Route("1.0.0", "1.2.0", (), newest=True)]


def test_no_way_is_said() -> None:
    found = routes([release("1.0.0"), release("2.0.0", requires=Requires(from_version="1.5.0"))])
    assert found == [Route("2.0.0", "2.0.0", (), newest=True), Route("1.0.0", "1.0.0", ())]


def test_nothing_at_all() -> None:
    assert routes([]) == []


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(0, 9))),
        min_size=1,
        max_size=10,
    )
)
def test_clients_go_the_same_way(kinds: list[tuple[bool, bool, bool, int | None]]) -> None:
    listed = []
    for number, (stop, yanked, halted, oldest) in enumerate(kinds):
        one = release(f"1.{number}.0", stop=stop, halted=halted, yanked=Yank("") if yanked else None)
        listed.append(one if oldest is None else replace(one, requires=Requires(from_version=f"1.{oldest}.0")))
    feed = Feed("shop", "stable", 1, START, tuple(reversed(listed)))
    for way in routes(listed):
        inside = [one.version for one in listed if way.first <= one.version <= way.last]
        for installed in inside:
            here, steps = installed, []
            while True:
                chosen = select(feed, here, site_id="x", now=START, python="3.12").release
                if chosen is None:
                    break
                steps.append(here := chosen.version)
            assert tuple(steps) == way.steps
