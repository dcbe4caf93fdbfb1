"""What one more release, and one decision about an old one, cost the publisher: with ever more releases there already.

Time, files of the site that are read and written, and how large the feed is that every site downloads when it changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedgen.config import load_project
from feedgen.keys import KeyRing
from feedgen.operations.edits import mark
from feedgen.operations.operator import Operator
from feedgen.publish.publisher import Publisher
from feedgen.publish.store import local_store
from tests.support.many_releases import made_up_release, publish_made_up
from updater.schema import Feed

__all__ = ["Cost", "Scale", "made_up_app", "measure_scale", "publish_scale"]

COUNTS = (10, 100, 1000, 10_000)
PASSPHRASE = "only for measuring"  # noqa: S105
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")


@dataclass
class Cost:
    """Seconds (wall and processor), and distinct files of the site with their bytes."""

    seconds: float = 0.0
    cpu: float = 0.0
    read: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

    def cells(self) -> str:
        """For a row of a table."""
        return (
            f"{self.cpu:.2f} | {len(self.read)} | {sum(self.read.values()) // 1000:,}"
            f" | {len(self.written)} | {sum(self.written.values()) // 1000:,}"
        )


@dataclass(frozen=True)
class Scale:
    """One size of site. ``feed``: bytes of stable.json; ``files``: in the site."""

    releases: int
    publish: Cost
    decide: Cost
    feed: int
    files: int


def publish_scale(folder: Path, counts: tuple[int, ...] = COUNTS) -> list[str]:
    """A table with a row for each number of releases."""
    rows = [
        "| releases | one more release: CPU s | files read | kB | files written | kB"
        " | one decision about the oldest: CPU s | files read | kB | files written | kB | feed kB |",
        "|---:" * 12 + "|",
    ]
    for count in counts:
        found = measure_scale(folder / f"scale-{count}", count)
        rows.append(f"| {count:,} | {found.publish.cells()} | {found.decide.cells()} | {found.feed / 1000:.0f} |")
    return rows


def measure_scale(folder: Path, count: int) -> Scale:
    """Make a site of ``count`` releases; then publish one more with everything that belongs to it, and decide one."""
    app, ring = made_up_app(folder)
    config, now = load_project(app).config, datetime.now(UTC).replace(microsecond=0)
    site = app / config.site
    publish_made_up(site, ring, [made_up_release(number) for number in range(count)], now=now - timedelta(days=8))
    publisher = Publisher(app, config, site, local_store(None, site, config), ring)
    # Twice, eight days apart: what the making of the site left to prune shall not count.
    publisher.publish("v999.0.0", now=now - timedelta(days=8))
    publisher.publish("v999.0.1", now=now - timedelta(seconds=60))
    publish = _measured(site, lambda: publisher.publish("v999.0.2", now=now))
    operator = Operator(config, site, ring, now + timedelta(seconds=60))
    decide = _measured(site, lambda: operator.edit("0.0.0", mark(critical=True)))
    feed = (site / "stable.json").read_bytes()
    Feed.parse(feed)
    files = sum(len(names) for _, _, names in os.walk(site))
    return Scale(count, publish, decide, len(feed), files)


def made_up_app(folder: Path) -> tuple[Path, KeyRing]:
    """A repository with three tags, its keys, and an empty site."""
    shutil.rmtree(folder, ignore_errors=True)
    app, keys = folder / "app", folder / "keys"
    app.mkdir(parents=True)
    _run(app, "git", "init", "-q")
    feedgen = str(Path(sys.executable).parent / "feedgen")
    _run(app, feedgen, "init", "--app", "shop", "--base-url", "http://127.0.0.1:1/", "--solo", "--keys", str(keys))
    for number in range(3):
        (app / "app.py").write_text(f"print({number})\n", encoding="utf-8")
        _run(app, *GIT, "add", "-A")
        _run(app, *GIT, "commit", "-q", "-m", str(number))
        _run(app, "git", "tag", f"v999.0.{number}")
    return app, KeyRing(keys, lambda _what: PASSPHRASE, {})


def _measured(site: Path, do: Callable[[], object]) -> Cost:
    cost = Cost()
    with _watched(str(site.resolve()), cost):
        started, cpu = time.perf_counter(), time.process_time()
        do()
        cost.seconds, cost.cpu = time.perf_counter() - started, time.process_time() - cpu
    for found in (cost.read, cost.written):
        for name in found:
            found[name] = Path(name).stat().st_size if Path(name).exists() else 0
    return cost


_watching: list[tuple[str, Cost]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    """Python's own notice of every file that is opened or put in place. Hooks stay for good, so there is one."""
    if not _watching or event not in ("open", "os.rename"):
        return
    site, cost = _watching[0]
    path = arguments[1] if event == "os.rename" else arguments[0]
    if not isinstance(path, str | os.PathLike):
        return
    name = str(Path(path).absolute())
    if not name.startswith(site):
        return
    if event == "os.rename":
        cost.written[name] = 0
    elif arguments[1] is not None and "r" in str(arguments[1]) and "+" not in str(arguments[1]):
        cost.read[name] = 0


_hooked: list[bool] = []


@contextmanager
def _watched(site: str, cost: Cost) -> Iterator[None]:
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    _watching.append((site, cost))
    try:
        yield
    finally:
        _watching.clear()


def _run(folder: Path, *command: str) -> None:
    environment = os.environ | {"FEEDGEN_PASSPHRASE": PASSPHRASE}
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr[-2000:]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="publish-scale-") as name:
        wanted = tuple(int(text) for text in sys.argv[1:]) or COUNTS
        print("\n".join(publish_scale(Path(name), wanted)))
