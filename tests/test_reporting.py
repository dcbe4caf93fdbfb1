"""What monitoring sees: metrics that Prometheus reads, and pings; neither is ever in the way of an update."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.sites import publish
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.cli import main
from updater.reporting import metrics_text
from updater.site import SiteState


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    publisher = SitePublisher()
    publish(publisher, "1.0.0", "1.1.0")
    with publisher.serving() as server:
        yield server


@pytest.fixture
def site(server, tmp_path) -> Path:
    return set_up_site(f"{server.url}stable.json", tmp_path / "site", version="1.0.0").site.path


def configure(site: Path, text: str) -> None:
    path = site / "updater.toml"
    path.write_text(f"{path.read_text()}\n{text}\n")


def values(text: str) -> dict[str, float]:
    """What Prometheus' own parser makes of it."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        for sample in family.samples:
            result = sample.labels.get("result", "")
            found[sample.name + (f"/{result}" if result else "")] = sample.value
    return found


def test_metrics_follow_what_happens(site, tmp_path):
    target = tmp_path / "shop.prom"
    configure(site, f'[report]\nmetrics = "{target}"')
    updater = Updater(site)
    updater.check()
    waiting = values(target.read_text())
    assert (waiting["updater_update_available"], waiting["updater_feed_fresh"]) == (1, 1)
    assert waiting["updater_last_result/done"] == 1
    assert target.stat().st_mode & 0o777 == 0o644
    updater.install(updater.plan())
    done = values(target.read_text())
    assert (done["updater_update_available"], done["updater_restore_points"]) == (0, 1)
    assert 'version="1.1.0"' in target.read_text()


def test_odd_labels_and_odd_histories_are_read_by_prometheus():
    state = SiteState("shop", "core", "in-place", "a1", "1.0")
    history = [{"event": "check", "at": "never", "available": 'a"b\\c\n', "notices": "x"}, {"result": 5, "at": None}]
    assert values(metrics_text(state, "stable", history, 0, datetime(2026, 1, 1, tzinfo=UTC)))["updater_notices"] == 0


def test_a_file_that_cannot_be_written_stops_nothing(site, capsys):
    configure(site, '[report]\nmetrics = "no/such/folder/x.prom"')
    assert main(["update", "--yes", "--site", str(site)]) == 0
    assert "What [report] asks for was not done" in capsys.readouterr().err


class _Pings(BaseHTTPRequestHandler):
    came: list[tuple[str, str]]

    def do_POST(self) -> None:
        self.came.append((self.path, self.rfile.read(int(self.headers.get("content-length", 0))).decode()))
        self.send_response(200)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def pings() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    came: list[tuple[str, str]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Pings", (_Pings,), {"came": came}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/uuid", came
    server.shutdown()
    thread.join()
    server.server_close()


def test_scheduled_runs_are_told_and_others_not(site, server, pings):
    url, came = pings
    configure(site, f'[report]\nping = "{url}"\n[policy]\nauto_install = "all"')
    assert main(["check", "--site", str(site)]) == 0
    assert came == []
    assert main(["update", "--auto", "--site", str(site)]) == 0
    assert [path for path, _ in came] == ["/uuid/start", "/uuid"]
    came.clear()
    server.behaviours.clear()
    (site / ".updater" / "root.json").write_bytes(b"{}")
    assert main(["update", "--auto", "--site", str(site)]) != 0
    assert [path for path, _ in came] == ["/uuid/start", "/uuid/fail"]
    assert came[1][1]


def test_a_ping_that_fails_stops_nothing(site, capsys):
    configure(site, '[report]\nping = "http://127.0.0.1:9/uuid"\n[policy]\nauto_install = "all"')
    assert main(["update", "--auto", "--site", str(site)]) == 0
    assert "The ping to http://127.0.0.1:9/uuid failed" in capsys.readouterr().err


def test_the_maintainer_hears_of_a_version_once_a_week_and_of_no_site(site, pings):
    url, came = pings
    now = datetime(2026, 5, 1, tzinfo=UTC)
    updater = Updater(site, now=lambda: now)
    updater.check()
    assert came == [], "nobody asked for it"
    configure(site, f'[report]\nadoption = "{url}"')
    for days in (0, 6.9, 0.1):
        now += timedelta(days=days)
        updater.check()
    told = "/uuid?app=shop&component=core&channel=stable&version="
    assert [path for path, _ in came] == [f"{told}1.0.0"] * 2
    updater.install(updater.plan())
    updater.check()
    assert [path for path, _ in came] == [f"{told}1.0.0"] * 2 + [f"{told}1.1.0"]
    assert updater.site.state().site_id not in str(came)


@pytest.mark.parametrize("note", ["", "[]", '{"version": "1.0.0", "at": "never"}', '{"version": "1.0.0"}'])
def test_a_damaged_note_of_what_was_told_is_told_again(site, pings, note):
    url, came = pings
    configure(site, f'[report]\nadoption = "{url}?x=1"')
    (site / ".updater" / "adoption.json").write_text(note)
    Updater(site).check()
    assert [path for path, _ in came] == ["/uuid?x=1&app=shop&component=core&channel=stable&version=1.0.0"]


def test_a_collector_that_is_away_stops_nothing_and_is_told_later(site, pings, capsys):
    configure(site, '[report]\nadoption = "http://127.0.0.1:9/count"')
    assert main(["update", "--yes", "--site", str(site)]) == 0
    assert "The maintainer could not be told of 1.1.0" in capsys.readouterr().err
    assert not (site / ".updater" / "adoption.json").exists()
