"""Deltas and the index of a published release: which are made, that they lead to it, and that they never change."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from feedgen.errors import FeedRegressionError
from feedgen.page.adoption import ADOPTION_FILE, history_bytes
from feedgen.publish.delta_sources import adopted, delta_sources
from feedgen.publish.regression import check_same_facts
from tests.feedgen_page.made_up import release
from tests.feedgen_publish.conftest import App
from tests.feedgen_publish.test_publish import Killed, killed_at
from tests.support.catalogs import make_record
from updater.package.index import IndexHead
from updater.schema import Release, Requires
from updater.schema.feed import Delta
from updater.schema.publisher_config import DeltaSettings

SETTINGS = DeltaSettings()


def text(seed: int) -> str:
    """Text that does not compress away."""
    return "".join(random.Random(seed).choices("abcdefghijklmnop \n", k=20_000))


def settings(app: App, lines: str) -> None:
    """Add lines at the end of feedgen.toml."""
    path = app.folder / "feedgen.toml"
    path.write_text(f"{path.read_text()}\n{lines}\n")


def versions(listed: Release) -> list[str]:
    return [delta.from_version for delta in listed.deltas]


@pytest.fixture
def shop(app: App) -> App:
    """Three published releases, of one large file that never changes and a small one that does."""
    for number in range(3):
        app.release(f"v1.{number}.0", **{"large.txt": text(1), "small.txt": f"{number}"})
        app.run("publish", f"v1.{number}.0")
    return app


def test_a_release_comes_with_an_index_and_deltas(shop: App) -> None:
    newest = shop.feed("stable").releases[0]
    assert versions(newest) == ["1.1.0", "1.0.0"]
    for delta in newest.deltas:
        assert delta.urls == (f"packages/shop-{delta.from_version}-1.2.0.delta",)
        data = (shop.site / delta.urls[0]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (delta.size, delta.sha256)
        assert delta.size * 10 < newest.package.size
    index = newest.package.index
    assert index is not None
    data = (shop.site / index.urls[0]).read_bytes()
    assert index.urls == ("packages/shop-1.2.0.index",)
    assert (len(data), hashlib.sha256(data[: index.head_size]).hexdigest()) == (index.size, index.head_sha256)
    assert [block.since for block in IndexHead.parse(data[: index.head_size], len(data)).blocks] == ["1.2.0", "1.0.0"]
    assert shop.feed("alpha").releases[0] == newest
    output = shop.run("verify").output
    assert "shop-1.1.0-1.2.0.delta" in output
    assert "shop-1.2.0.index" in output


def test_publishing_again_changes_nothing(shop: App) -> None:
    before = shop.snapshot()
    settings(shop, "[deltas]\nfrom_last = 1")
    for number in range(3):
        assert "nothing changed" in shop.run("publish", f"v1.{number}.0").output
    assert shop.snapshot() == before


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("[deltas]\nfrom_last = 1", ["1.2.0"]),
        ("[deltas]\nfrom_last = 0", []),
        ('[deltas]\nfrom_last = 1\nfrom = ["1.0.0", "0.9.0", "2.0.0"]', ["1.2.0", "1.0.0"]),
        ("[deltas]\nlargest_percent = 1", []),
        ("[deltas]\nbudget_seconds = 0", []),
    ],
)
def test_the_settings_say_which(shop: App, lines: str, wanted: list[str]) -> None:
    settings(shop, lines)
    shop.release("v1.3.0", **{"small.txt": "new"})
    output = shop.run("publish", "v1.3.0").output
    assert versions(shop.feed("stable").releases[0]) == wanted
    if "budget" in lines:
        assert "no time was left for deltas from 1.2.0, 1.1.0, 1.0.0" in output
    if "largest" in lines:
        assert "of the package's size; it is not kept" in output


def test_what_many_sites_run_counts(shop: App) -> None:
    (shop.site / ADOPTION_FILE).write_bytes(history_bytes({"2026-01-20": {"1.0.0": 90, "1.1.0": 3, "1.2.0": 97}}))
    settings(shop, "[deltas]\nfrom_last = 0")
    shop.release("v1.3.0", **{"small.txt": "new"})
    shop.run("publish", "v1.3.0")
    assert versions(shop.feed("stable").releases[0]) == ["1.2.0", "1.0.0"]


def test_no_delta_over_a_stop_or_from_too_far(shop: App) -> None:
    shop.run("stop", "1.1.0")
    shop.release("v1.3.0", **{"small.txt": "new"})
    shop.run("publish", "v1.3.0")
    assert versions(shop.feed("stable").releases[0]) == ["1.2.0", "1.1.0"]


@pytest.mark.parametrize("longer", [-1, 0, 1])
def test_an_old_package_that_was_exchanged_or_lost_is_left_out(shop: App, longer: int) -> None:
    packages = shop.site / "packages"
    size = (packages / "shop-1.0.0.zip").stat().st_size
    (packages / "shop-1.0.0.zip").write_bytes(bytes(size + longer))
    (packages / "shop-1.1.0.zip").unlink()
    shop.release("v1.3.0", **{"small.txt": "new"})
    output = shop.run("publish", "v1.3.0", code=None).output
    assert "there is no delta from 1.1.0: the store does not have shop-1.1.0.zip" in output
    assert "there is no delta from 1.0.0: shop-1.0.0.zip in the store is not the package that the feed lists" in output
    assert versions(shop.feed("stable").releases[0]) == ["1.2.0"]


def test_deltas_are_added_later_and_never_made_again(shop: App) -> None:
    settings(shop, "[deltas]\nfrom_last = 1")
    shop.release("v1.3.0", **{"small.txt": "new"})
    shop.run("publish", "v1.3.0")
    assert "Would add" in shop.run("deltas", "--release", "1.3.0", "--from", "1.0.0", "--dry-run").output
    before = shop.snapshot()
    assert "1.0.0" in shop.run("deltas", "--release", "1.3.0", "--from", "1.0.0").output
    assert versions(shop.feed("beta").releases[0]) == ["1.2.0", "1.0.0"]
    assert {path: data for path, data in shop.snapshot().items() if path.startswith("packages/")}.items() >= {
        path: data for path, data in before.items() if path.startswith("packages/")
    }.items()
    after = shop.snapshot()
    assert "nothing changed" in shop.run("deltas", "--release", "1.3.0", "--from", "1.0.0").output
    assert "nothing changed" in shop.run("deltas").output
    assert shop.snapshot() == after
    shop.run("verify")
    assert "No feed lists a release 9.9.9" in shop.run("deltas", "--release", "9.9.9", code=1).output


@pytest.mark.parametrize("name", ["shop-1.1.0-1.2.0.delta", "shop-1.2.0.index"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _data: None])
def test_verify_notices(shop: App, name: str, damage: Callable[[bytes], bytes | None]) -> None:
    path = shop.site / "packages" / name
    data = damage(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)
    assert f"packages/{name}" in shop.run("verify", code=1).output


def test_verify_applies_deltas(shop: App) -> None:
    """A signed delta that leads elsewhere is found by using it."""
    from tests.feedgen_publish.test_publish import sign_feed

    feed = shop.feed("stable")
    path = shop.site / "packages" / "shop-1.1.0-1.2.0.delta"
    other = path.with_name("shop-1.0.0-1.1.0.delta").read_bytes()
    path.write_bytes(other)
    newest = feed.releases[0]
    false = replace(newest.deltas[0], size=len(other), sha256=hashlib.sha256(other).hexdigest())
    newest = replace(newest, deltas=(false, *newest.deltas[1:]))
    sign_feed(shop, "stable", replace(feed, sequence=feed.sequence + 1, releases=(newest, *feed.releases[1:])))
    assert "does not lead from 1.1.0 to 1.2.0" in shop.run("verify", code=1).output


def test_a_publish_applies_its_deltas_once(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were applied when they were made; the check afterwards compares digests. A later check applies them."""
    applied: list[str] = []

    def leads_to(delta: Path, _old: Path, source: Release, _release: Release) -> bool:
        applied.append(source.version)
        return delta.exists()

    monkeypatch.setattr("feedgen.verify_release.leads_to", leads_to)
    shop.release("v1.3.0", **{"small.txt": "3"})
    assert "published" in shop.run("publish", "v1.3.0").output.lower()
    assert versions(shop.feed("stable").releases[0]) == ["1.2.0", "1.1.0", "1.0.0"]
    assert applied == []
    shop.run("verify", "--release", "1.3.0")
    assert applied == ["1.2.0", "1.1.0", "1.0.0"]
    applied.clear()
    shop.run("publish", "v1.3.0")  # makes nothing, so that it has applied nothing itself
    assert applied == ["1.2.0", "1.1.0", "1.0.0"]


def test_a_delta_that_was_damaged_after_it_was_made_is_noticed(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    from feedgen.cli import check

    def damage_and_check(*args: Any, **how: Any) -> Any:
        path = shop.site / "packages" / "shop-1.2.0-1.3.0.delta"
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        return check.self_check(*args, **how)

    monkeypatch.setattr("feedgen.cli.publish.self_check", damage_and_check)
    shop.release("v1.3.0", **{"small.txt": "3"})
    assert "is not the signed delta" in shop.run("publish", "v1.3.0", code=1).output


def test_a_list_of_digests_is_built_from_what_other_groups_build(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedgen.delta.plan.GROUP", 30_000)
    for number in range(2):
        files = {f"lib/{name}.py": f"{text(seed)}{number}\n" for seed, name in enumerate("abc")}
        record = make_record({name: data.encode() for name, data in files.items()}, f"lib-1.{number}.0.dist-info")
        for folder in ("lib", f"lib-1.{number}.0.dist-info"):
            (app.folder / folder).mkdir(exist_ok=True)
        app.release(f"v1.{number}.0", **files, **{f"lib-1.{number}.0.dist-info/RECORD": record.decode()})
        app.run("publish", f"v1.{number}.0")
    (delta,) = app.feed("stable").releases[0].deltas
    assert delta.size < 2000
    app.run("verify")


def test_mirrors_are_named_behind_the_store(shop: App) -> None:
    text = (shop.folder / "feedgen.toml").read_text()
    mirrors = 'mirrors = ["https://one.example/shop/", "https://two.example/"]'
    (shop.folder / "feedgen.toml").write_text(text.replace("[publish]\n", f"[publish]\n{mirrors}\n"))
    shop.release("v1.3.0", **{"small.txt": "new"})
    shop.run("publish", "v1.3.0")
    newest, before = shop.feed("stable").releases[:2]
    name = "shop-1.3.0.zip"
    assert newest.package.urls == (
        f"packages/{name}",
        f"https://one.example/shop/{name}",
        f"https://two.example/{name}",
    )
    assert newest.package.index is not None
    assert newest.package.index.urls[1] == "https://one.example/shop/shop-1.3.0.index"
    assert newest.deltas[0].urls[2] == "https://two.example/shop-1.2.0-1.3.0.delta"
    assert len(before.package.urls) == 1
    shop.run("republish", "1.2.0")
    moved = shop.feed("stable").release("1.2.0")
    assert moved is not None
    assert [len(moved.package.urls), *(len(delta.urls) for delta in moved.deltas)] == [3, 3, 3]


@pytest.mark.slow
def test_killed_at_every_write(shop: App, tmp_path: Path) -> None:
    """Index, deltas, package, feeds: a second run completes whatever the first one began, with the same bytes."""
    shop.release("v1.3.0", **{"small.txt": "new"})
    now = datetime.now(UTC).replace(microsecond=0)
    reference = _copy(shop, tmp_path / "reference")
    reference.publisher().publish("v1.3.0", now=now)
    wanted = {path for path in reference.snapshot() if path.startswith("packages/")}
    assert len([path for path in wanted if path.endswith("-1.3.0.delta")]) == 3
    number, killed = 0, True
    while killed:
        number += 1
        copy = _copy(shop, tmp_path / f"run-{number}")
        killed = False
        try:
            with killed_at(number, copy.site):
                copy.publisher().publish("v1.3.0", now=now)
        except Killed:
            killed = True
            copy.publisher().publish("v1.3.0", now=now)
        found = copy.snapshot()
        for path in wanted - {"packages/shop-1.3.0.zip.minisig"}:
            assert found[path] == reference.snapshot()[path], (number, path)
        assert copy.feed("stable").releases == reference.feed("stable").releases
        shutil.rmtree(copy.folder)
    assert number > 10


def _copy(app: App, folder: Path) -> App:
    shutil.copytree(app.folder, folder)
    return App(folder, app.keys)


def test_published_facts_are_never_exchanged() -> None:
    delta = Delta("1.0", ("x",), 10, "a" * 64)
    old = replace(release("1.1"), deltas=(delta,))
    more = (replace(delta, urls=("y",)), replace(delta, from_version="0.9"))
    check_same_facts(old, replace(old, deltas=more), "beta")
    for deltas in ((), (replace(delta, sha256="b" * 64),)):
        with pytest.raises(FeedRegressionError, match=r"exchange the delta from 1\.0"):
            check_same_facts(old, replace(old, deltas=deltas), "beta")


def test_adopted() -> None:
    counts = {"1.0": 50, "1.1": 45, "1.2": 5, "1.3": 0}
    assert adopted({"2026-01-01": {"1.2": 9}, "2026-01-02": counts}, 5) == ["1.0", "1.1", "1.2"]
    assert adopted({"2026-01-02": counts}, 6) == ["1.0", "1.1"]
    assert adopted({"2026-01-02": counts}, 0) == []
    assert adopted({}, 5) == []
    many = {f"1.{number}": 1 for number in range(50)}
    assert adopted({"2026-01-02": {**many, "0.1": 1_000_000}}, 100) == []


@given(st.lists(st.integers(0, 30), unique=True), st.integers(0, 3), st.integers(0, 30), st.sets(st.integers(0, 30)))
def test_sources(numbers: list[int], last: int, new: int, stops: set[int]) -> None:
    """Each could be installed, none is newer, and the last ones are there."""
    listed = [release(f"1.{n}.0", stop=n in stops) for n in numbers if n != new]
    wanted = release(f"1.{new}.0", requires=Requires(from_version="1.2.0"))
    found = delta_sources(wanted, [listed], [], replace(SETTINGS, from_last=last))
    able = [
        one
        for one in sorted(listed, key=lambda one: Version(one.version), reverse=True)
        if Version("1.2") <= Version(one.version) < Version(wanted.version)
        and not any(o.stop and Version(one.version) < Version(o.version) < Version(wanted.version) for o in listed)
    ]
    assert {one.version for one in able[:last]} <= {one.version for one in found} <= {one.version for one in able}
    assert found == sorted(found, key=lambda one: Version(one.version), reverse=True)
