"""Which way is the cheapest: pure functions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.packages import make_package
from updater.acquire.addresses import Addresses, addresses_of
from updater.acquire.ranges import REQUEST
from updater.acquire.sources import SourceOption, best_route, choose, saves
from updater.errors import DownloadError
from updater.schema.feed import Delta, Release

RELEASE = make_package({"a": b"1"}).to_release()


def release(version: str, **sizes: int) -> Release:
    """A release with deltas from these versions (``v10`` is 1.0)."""
    deltas = tuple(
        Delta(f"{name[1]}.{name[2:]}", ("x",), size, f"{version}{name}".ljust(64, "0")) for name, size in sizes.items()
    )
    return replace(RELEASE, version=version, deltas=deltas)


def route(releases: list[Release], to: str, without: tuple[str, ...] = ()) -> list[str]:
    found = best_route(releases, "1.0", to, without=without)
    return [hop.release.version for hop in found]


def test_the_direct_delta_or_the_chain_whichever_is_smaller() -> None:
    chain = [release("1.1", v10=1000), release("1.2", v11=1000)]
    assert route([*chain, release("1.3", v12=1000, v10=60_000)], "1.3") == ["1.1", "1.2", "1.3"]
    assert route([*chain, release("1.3", v12=1000, v10=30_000)], "1.3") == ["1.3"], "three requests cost more"
    assert route([*chain, release("1.3", v12=1000)], "1.3") == ["1.1", "1.2", "1.3"]


def test_no_way_is_no_way() -> None:
    assert route([release("1.2", v11=10)], "1.2") == []
    assert best_route([release("1.1", v10=10)], None, "1.1") == ()


def test_what_failed_is_not_on_the_way() -> None:
    direct = release("1.1", v10=10)
    assert route([direct], "1.1", without=(direct.deltas[0].sha256,)) == []


def test_circles_end() -> None:
    assert route([release("1.1", v10=1, v12=1), release("1.2", v11=1)], "1.3") == []


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 100_000)).filter(lambda edge: edge[0] < edge[1]),
        max_size=20,
    )
)
def test_no_other_way_is_cheaper(edges: list[tuple[int, int, int]]) -> None:
    releases: dict[int, list[Delta]] = {}
    for number, (old, new, size) in enumerate(edges):
        releases.setdefault(new, []).append(Delta(f"1.{old}", ("x",), size, f"{number:064}"))
    listed = [replace(RELEASE, version=f"1.{new}", deltas=tuple(deltas)) for new, deltas in releases.items()]
    found = best_route(listed, "1.0", "1.7")
    cost = {0: 0}
    for new in range(1, 8):
        ways = [cost[old] + size + REQUEST for old, to, size in edges if to == new and old in cost]
        if ways:
            cost[new] = min(ways)
    assert sum(hop.delta.size + REQUEST for hop in found) == cost.get(7, 0)


def test_single_files_must_save_something() -> None:
    assert saves(95, 100) and not saves(96, 100)


def test_the_table_says_why_of_each() -> None:
    options = [
        SourceOption("index", 2_000_000, 3, files=10),
        SourceOption("package", 8_000_000, 1),
        SourceOption("directory", 500_000, 2, exact=False),
        SourceOption("delta", 100_000, 1, why="failed: HTTP 404", failed=True, versions=("1.0", "1.1")),
    ]
    table = choose(options, "index")
    assert [option.chosen for option in table] == [True, False, False, False]
    assert [(option.name, option.why) for option in table] == [
        ("changed files, by the index", "the smallest"),
        ("delta from 1.0", "failed: HTTP 404"),
        ("full zip", "4.0 times the bytes"),
        ("changed files, by the zip's directory", "not looked into: the index says the same in fewer bytes"),
    ]
    assert table[0].to_json() == {
        "source": "changed files, by the index",
        "kind": "index",
        "bytes": 2_000_000,
        "exact": True,
        "files": 10,
        "requests": 3,
        "chosen": True,
        "reason": "the smallest",
    }
    assert choose(options[1:2], "package")[0].why == "the only way"


def test_mirrors_are_asked_first_for_the_name_of_the_file() -> None:
    urls = ("packages/shop-1.zip", "https://other.example/x/shop-1.zip")
    assert addresses_of(urls, "https://a.example/shop/stable.json", ("https://m.example/d/", "http://localhost")) == (
        "https://m.example/d/shop-1.zip",
        "http://localhost/shop-1.zip",
        "https://a.example/shop/packages/shop-1.zip",
        "https://other.example/x/shop-1.zip",
    )


def test_an_address_that_failed_is_passed_over() -> None:
    addresses = Addresses(["a", "b"])
    assert addresses.next() == "a"
    addresses.fail("a", DownloadError("one"))
    assert addresses.next() == "b"
    addresses.fail("b", DownloadError("two"))
    try:
        addresses.next()
    except DownloadError as error:
        assert str(error) == "two"
