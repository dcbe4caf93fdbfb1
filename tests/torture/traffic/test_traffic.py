"""The example shop under gunicorn and uvicorn, behind nginx, visited all through its updates.

Promised to whoever visits: what was acknowledged is there afterwards. Bringing the old database back undoes one thing:
orders that were taken while a release was being tried which then failed. Without a stop that is from the moment the
database was saved; with one, from the start of the new release, which is in public until its health check has failed;
with a maintenance page, never.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.world import World
from tests.support.require import require
from tests.torture.figures import Figures
from tests.torture.traffic.methods import METHODS, Method
from tests.torture.traffic.published import Feed, publish_shop
from tests.torture.traffic.shop import Shop, Updated, open_shop
from updater import Updater
from updater.install import list_restore_points
from updater.site import Layout

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("traffic")]

LAYOUTS: list[Layout] = ["in-place", "slots"]
SLACK = 3.0
"""Seconds after an update in which a server may still be replacing its last workers."""


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    with publish_shop(tmp_path_factory.mktemp("publisher")) as feed:
        yield feed


def judge(shop: Shop, updated: Updated, version: str) -> list[str]:
    """What is wrong: the version, the tree, anything acknowledged that is gone, failures that no update excuses."""
    wrong = []
    if shop.version() != version:
        wrong.append(f"the shop answers as {shop.version()!r}, not {version}")
    if not Updater(shop.site).verify().ok:
        wrong.append("the tree is not the release's")
    wrong += [f"left behind: {name}" for name in World(shop.site.path, shop.layout).leftovers()]
    if shop.layout == "slots":
        kept = {point.slot for point in list_restore_points(shop.site)} | {shop.site.tree("slots").name}
        wrong += [f"left behind: {slot}" for slot in shop.site.releases.iterdir() if slot.name not in kept]
    wrong += [f"upload lost: {request}" for request in updated.ledger.missing_uploads(shop.home / "media")]
    window = updated.window
    for request in updated.ledger.missing_orders(shop.home / "db.sqlite3"):
        if shop.method.page or not window.undoes(request, stops=shop.method.stops):
            wrong.append(f"order lost: {request}, {window}")
    wrong += [f"failed outside the update: {r}" for r in updated.ledger.failed_outside(window, SLACK)]
    if shop.method.stops:
        taken = updated.ledger.acknowledged("order").values()
        wrong += [f"taken while stopped: {r}" for r in taken if r.start >= window.saved and r.end <= window.started]
    return [f"{shop.layout} {shop.method.name} to {version}: {text}" for text in wrong]


def count(figures: Figures, updated: Updated, shop: Shop, name: str) -> None:
    """The row of the table."""
    counts = updated.ledger.counts()
    orders, uploads = updated.ledger.acknowledged("order"), updated.ledger.acknowledged("upload")
    figures.add(f"requests ({name})", len(updated.ledger.requests))
    figures.add("no answer", counts["error"])
    figures.add("5xx", counts["5xx"])
    figures.add("503 with Retry-After", counts["503"])
    figures.add("4xx", counts["4xx"])
    figures.add("refused", counts["refused"])
    figures.add("ms without an answer", round(1000 * updated.ledger.outage()))
    figures.add("orders", len(orders))
    figures.add("uploads", len(uploads))
    figures.add("orders undone with the release", len(updated.ledger.missing_orders(shop.home / "db.sqlite3")))


@pytest.mark.torture
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name.replace(", ", "-").replace(" ", "-"))
def test_nothing_acknowledged_is_lost(feed: Feed, tmp_path: Path, layout: Layout, method: Method) -> None:
    program = require("nginx", "nginx-light")
    with open_shop(feed, tmp_path, layout, method, program) as shop:
        with Figures(f"live traffic, {method.name}, {layout}, update") as figures:
            updated = shop.update("1.1.0", scale=1.0)
            count(figures, updated, shop, "1.0.0 to 1.1.0")
            assert updated.result == "done", updated
            for wrong in judge(shop, updated, "1.1.0"):
                figures.wrong(wrong)
        with Figures(f"live traffic, {method.name}, {layout}, failing update") as figures:
            failed = shop.update("1.2.0", scale=1.0)
            count(figures, failed, shop, "1.2.0 and back")
            assert failed.result.startswith("RolledBackError"), failed
            for wrong in judge(shop, failed, "1.1.0"):
                figures.wrong(wrong)
            for request in updated.ledger.missing_orders(shop.home / "db.sqlite3"):
                figures.wrong(f"an order of before the failed update is gone: {request}")


@pytest.mark.torture
@pytest.mark.parametrize("layout", LAYOUTS)
def test_code_that_cannot_be_loaded_never_reaches_the_server(feed: Feed, tmp_path: Path, layout: Layout) -> None:
    """gunicorn's master exits when it is told to reload onto such code; the check of the new code comes first."""
    method = METHODS[0]
    assert (method.server, method.stops) == ("gunicorn", False)
    with (
        open_shop(feed, tmp_path, layout, method, require("nginx", "nginx-light")) as shop,
        Figures(f"live traffic, {method.name}, {layout}, code that cannot be loaded") as figures,
    ):
        failed = shop.update("1.3.0", scale=1.0)
        count(figures, failed, shop, "1.3.0 and back")
        assert "1.3.0 cannot be loaded" in failed.result, failed
        for wrong in judge(shop, failed, "1.0.0"):
            figures.wrong(wrong)


@pytest.mark.torture
@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_that_check_the_server_is_gone_and_the_updater_says_so(
    feed: Feed, tmp_path: Path, layout: Layout
) -> None:
    """Files and database come back all the same; a signal cannot start what has exited."""
    with open_shop(feed, tmp_path, layout, METHODS[0], require("nginx", "nginx-light")) as shop:
        config = shop.site.config_path
        lines = config.read_text().splitlines()
        config.write_text("\n".join(line for line in lines if not line.startswith("check = ")))
        failed = shop.update("1.3.0", scale=0.2)
        assert failed.result.startswith("RolledBackError"), failed
        assert Updater(shop.site).verify().ok
        assert failed.ledger.missing_uploads(shop.home / "media") == []
        assert shop.version() == ""
        assert any("does not answer" in message or "not run" in message for message in failed.messages), failed.messages


def test_an_update_under_traffic_loses_nothing(feed: Feed, tmp_path: Path) -> None:
    """The sample of `make test`: stop and start, where nobody may order meanwhile, and a release that fails."""
    method = next(method for method in METHODS if method.stops)
    with open_shop(feed, tmp_path, "in-place", method, require("nginx", "nginx-light")) as shop:
        updated = shop.update("1.1.0", scale=0.2, before=1.0, after=1.0)
        assert updated.result == "done"
        assert judge(shop, updated, "1.1.0") == []
        assert len(updated.ledger.acknowledged("order")) >= 2
        assert len(updated.ledger.acknowledged("upload")) >= 10
