"""How many checks one nginx worker answers, and what the checks of a million sites cost a CDN: measured, then computed.

Needs nginx and wrk (``apt-get install nginx-light wrk``). Everything runs on this machine, without TLS, so clients and
server share its processors: a lower bound of what a worker with a processor of its own would answer.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from feedgen.config import load_project
from feedgen.repository.state import load
from tests.support.many_releases import made_up_release, publish_made_up
from tests.torture.network.nginx import Nginx
from tools.publish_scale import made_up_app
from updater.schema import Feed
from updater.trust.names import feed_copy, metadata_file

__all__ = ["load_static"]

CONNECTIONS = 32
SECONDS = 5
RELEASES = 200
SITES = 1_000_000
DAYS = 30
RELEASES_A_MONTH = 4


@dataclass(frozen=True)
class Answered:
    """Requests a second, and bytes of one answer with its headers."""

    rate: float
    size: float


def load_static(folder: Path) -> list[str]:
    """Tables: the two requests of a check with nothing new, and the month of a CDN."""
    if shutil.which("wrk") is None:
        return ["wrk is not installed (apt-get install wrk): nothing was measured."]
    app, ring = made_up_app(folder / "load")
    site = app / load_project(app).config.site
    publish_made_up(site, ring, [made_up_release(n) for n in range(RELEASES)], now=datetime.now(UTC))
    with Nginx(folder / "nginx", site, server="access_log off; error_page 404 /404.html;") as nginx:
        state = load(site)
        channel = state.channels["stable"].signed.version
        feed = next(path for path in (site / "feeds").glob("*.stable.json"))
        nothing_new = {
            "the next root (404)": metadata_file("root", len(state.roots) + 1),
            "the timestamp": metadata_file("timestamp"),
        }
        something_new = {
            "the snapshot": metadata_file("snapshot", state.snapshot.signed.version),
            "the channel's role": metadata_file("stable", channel),
            "the feed": feed_copy("stable", feed.name.partition(".")[0]),
        }
        found = {name: _load(nginx.url + path) for name, path in {**nothing_new, **something_new}.items()}
    inline = len(Feed.parse(feed.read_bytes()).releases)
    check = [found[name] for name in nothing_new]
    release = [found[name] for name in something_new]
    checks = 1 / sum(1 / one.rate for one in check)
    rows = ["| request | answers a second | bytes with headers |", "|---|---:|---:|"]
    rows += [f"| {name} | {one.rate:,.0f} | {one.size:,.0f} |" for name, one in found.items()]
    sites = checks * 86_400 / 1e6
    rows += ["", f"One worker answers {checks:,.0f} checks with nothing new a second."]
    rows += [f"Evenly spread over a day, that is {sites:,.0f} million sites that check daily."]
    return [*rows, "", *_month(check, release, inline)]


def _load(url: str) -> Answered:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", done)
    total = re.search(r"(\d+) requests in [^,]+, ([0-9.]+)([KMG]?)B read", done)
    if rate is None or total is None:
        raise SystemExit(f"wrk said something else:\n{done}")
    size = float(total[2]) * {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}[total[3]] / int(total[1])
    return Answered(float(rate[1]), size)


def _month(check: list[Answered], release: list[Answered], inline: int) -> list[str]:
    """A month of a million sites that check daily, packages not counted: they lie in a store of their own."""
    checks = SITES * DAYS
    news = SITES * RELEASES_A_MONTH
    rows = ["| a million sites, daily, 30 days | requests | GB |", "|---|---:|---:|"]
    told = f"{RELEASES_A_MONTH} releases to be told of (feed of {inline} releases)"
    parts: list[tuple[str, int, float]] = [
        ("checks", checks * len(check), checks * sum(one.size for one in check)),
        (told, news * len(release), news * sum(one.size for one in release)),
    ]
    rows += [f"| {name} | {count / 1e6:,.0f} million | {size / 1e9:,.0f} |" for name, count, size in parts]
    count, size = sum(part[1] for part in parts), sum(part[2] for part in parts)
    return [*rows, f"| together | {count / 1e6:,.0f} million | {size / 1e9:,.0f} |"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="load-static-") as name:
        print("\n".join(load_static(Path(name))))
