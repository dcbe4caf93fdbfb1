"""``feedgen stats``: downloads that were counted, and what sites told a web server's log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from feedgen.operations.stats import VersionStats, count_sites, version_stats
from tests.feedgen_page.shop import Shop
from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from tests.torture.network.nginx import Nginx
from updater import Updater, set_up_site

NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)


def line(version: str, *, days: float = 0, app: str = "shop", component: str = "core") -> str:
    """What a server writes about a site that told its version so many days ago."""
    at = f"{NOW - timedelta(days=days):%d/%b/%Y:%H:%M:%S %z}"
    target = f"/count?app={app}&component={component}&channel=stable&version={version}"
    return f'198.51.100.7 - - [{at}] "GET {target} HTTP/1.1" 404 162 "-" "tagship-updater"'


def test_the_last_week_of_this_component_counts() -> None:
    lines = [
        *[line("1.2.0", days=number / 3) for number in range(6)],
        *[line("1.1.0", days=6.9), line("1.0.0", days=7.1)],
        *[line("1.2.0", app="other"), line("1.2.0", component="dark"), line("no version"), "", "nothing"],
        *[line("1.2.0").replace("GET", "POST"), line("9").replace("/Jun/", "/Foo/")],
    ]
    assert count_sites(lines, "shop", "core") == {"1.2.0": 6, "1.1.0": 1}
    assert count_sites([], "shop", "core") == {}


@given(st.lists(st.text() | st.text().map(line)))
def test_whatever_stands_in_a_log(lines: list[str]) -> None:
    assert sum(count_sites(lines, "shop", "core").values()) <= len(lines)


def test_a_row_for_each_version() -> None:
    history = {"2026-05-01": {"1.0.0": 100}, "2026-06-20": {"1.0.0": 110, "1.1.0": 30}}
    downloads = [VersionStats("1.1.0", 30, 30, None, 75.0), VersionStats("1.0.0", 110, 10, None, 25.0)]
    assert version_stats(history, None) == downloads
    assert [(row.version, row.sites, row.percent) for row in version_stats(history, {"0.9": 1, "1.1.0": 3})] == [
        ("1.1.0", 3, 75.0),
        ("1.0.0", 0, 0.0),
        ("0.9", 1, 25.0),
    ]
    assert version_stats({}, {}) == []


def test_the_command(shop: Shop, tmp_path: Path) -> None:
    assert "Who runs what of" in shop.run("stats").output
    log = tmp_path / "access.log"
    app = json.loads(shop.run("stats", "--json").output)["app"]
    log.write_bytes(f"{line('1.2.0', app=app)}\n\xff\n".encode("latin-1"))
    found = json.loads(shop.run("stats", "--json", "--log", str(log)).output)
    assert found["counted"] is not None
    assert {row["version"]: row["sites"] for row in found["versions"]}["1.2.0"] == 1
    (shop.site / "adoption.json").unlink()
    assert "Nothing was counted yet" in shop.run("stats").output


def test_a_site_tells_a_plain_nginx_and_the_maintainer_reads_its_log(shop: Shop, tmp_path: Path) -> None:
    app = json.loads(shop.run("stats", "--json").output)["app"]
    publisher, www, log = SitePublisher(app), tmp_path / "www", tmp_path / "combined.log"
    publisher.publish(make_package({"a.txt": b"1"}, app=app, version="1.0.0"))
    www.mkdir()
    with publisher.serving() as server, Nginx(tmp_path / "nginx", www, f"access_log {log} combined;") as nginx:
        site = set_up_site(f"{server.url}stable.json", tmp_path / "site").site
        site.config_path.write_text(f'{site.config_path.read_text()}\n[report]\nadoption = "{nginx.url}count"\n')
        Updater(site).check()
    assert site.state().site_id not in log.read_text()
    found = json.loads(shop.run("stats", "--json", "--log", str(log)).output)
    assert {row["version"]: row["sites"] for row in found["versions"] if row["sites"]} == {"1.0.0": 1}
