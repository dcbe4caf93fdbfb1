"""What one more release costs the publisher: time, and calls of GitHub's API, with ever more releases there already."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedgen.keys import KeyRing
from feedgen.publish.site import commit
from feedgen.publish.writer import SiteWriter
from feedgen.repository.compose import Change, compose
from feedgen.repository.state import load
from tests.support.github import FakeGitHub
from updater.schema import CHANNELS, Feed, Notes, Package, Release

__all__ = ["publish_costs"]

COUNTS = (10, 100, 1000)
PASSPHRASE = "only for measuring"  # noqa: S105
REPOSITORY = "acme/sample"
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")


def publish_costs(folder: Path) -> list[str]:
    """A row for each number of releases: ``feedgen publish --store github`` for one more, and once more for nothing."""
    rows = ["| releases before | calls | seconds | again: calls | seconds |", "|---:|---:|---:|---:|---:|"]
    for count in COUNTS:
        with FakeGitHub(validate=False) as github:
            github.repo.full_name = REPOSITORY
            app = _app(folder / f"publish-{count}", count, github)
            first, again = _publish(app, github), _publish(app, github)
        rows.append(f"| {count} | {first[0]} | {first[1]:.1f} | {again[0]} | {again[1]:.1f} |")
    return rows


def _app(folder: Path, count: int, github: FakeGitHub) -> Path:
    """A repository with the tag v1.0.0 and a site that lists ``count`` older releases."""
    app, keys = folder / "app", folder / "keys"
    app.mkdir(parents=True)
    (app / "app.py").write_text("print('hello')\n", encoding="utf-8")
    _run(app, "git", "init", "-q")
    _run(app, _feedgen(), "init", "--app", "sample", "--base-url", "http://127.0.0.1:1/", "--solo", "--keys", str(keys))
    _run(app, *GIT, "add", "-A")
    _run(app, *GIT, "commit", "-q", "-m", "One")
    _run(app, "git", "tag", "v1.0.0")
    github.preload(count)
    github.repo.tags["v1.0.0"] = _run(app, "git", "rev-parse", "HEAD").strip()
    site, now = app / ".feedgen" / "site", datetime.now(UTC).replace(microsecond=0)
    releases = tuple(_release(number, now, github) for number in reversed(range(count)))
    feeds = {channel: Feed("sample", channel, 1, now, releases).to_bytes() for channel in CHANNELS}
    writes = compose(load(site), Change(feeds=feeds), KeyRing(keys, lambda _what: PASSPHRASE, {}), now)
    commit(SiteWriter(site), writes, now=now, grace=timedelta(days=7))
    return app


def _release(number: int, now: datetime, github: FakeGitHub) -> Release:
    version = f"0.{number}.0"
    url = f"{github.web_url}/{REPOSITORY}/releases/download/v{version}/sample-{version}.zip"
    return Release(
        version=version,
        published=now - timedelta(days=2000 - number),
        package=Package((url,), 1_000_000, "b" * 64, 999_000, 1000),
        manifest_sha256="c" * 64,
        manifest_size=500,
        notes=Notes(markdown=f"## {version}\n\n- One thing is better, and another one is new."),
    )


def _publish(app: Path, github: FakeGitHub) -> tuple[int, float]:
    """API calls, and seconds from the command to its end."""
    with github.counting() as calls:
        started = time.perf_counter()
        keys = str(app.parent / "keys")
        _run(app, _feedgen(), "publish", "v1.0.0", "--store", "github", "--keys", keys, api=github.api_url)
        seconds = time.perf_counter() - started
    return len(calls), seconds


def _feedgen() -> str:
    return str(Path(sys.executable).parent / "feedgen")


def _run(folder: Path, *command: str, api: str = "") -> str:
    environment = os.environ | {"FEEDGEN_PASSPHRASE": PASSPHRASE, "NO_PROXY": "*"}
    environment |= {"GITHUB_API_URL": api, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": "ghp_sesame"}
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr[-2000:]}")
    return done.stdout
