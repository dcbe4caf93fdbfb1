"""From a pushed tag to a site that clients update from: the real workflow files, run by act."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from feedgen.cli.console import now
from tests.feedgen_workflows.conftest import Hosted, set_up
from tests.support.github import Call, FakeGitHub, Token

pytestmark = pytest.mark.slow


@pytest.fixture
def api() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        may = {"contents": "write", "metadata": "read", "issues": "write", "actions": "write"}
        fake.tokens["pretended-token"] = Token(kind="actions", permissions=may)
        yield fake
        assert fake.violations == []


@pytest.fixture
def hosted(repository: Hosted, runner_files: tuple[Path, Path], api: FakeGitHub) -> Hosted:
    """An app that publishes to GitHub Releases, without releases."""
    repository.github.environment["GITHUB_API_URL"] = api.api_url
    return set_up(repository, runner_files, store="github")


def push_tag(hosted: Hosted, api: FakeGitHub, tag: str) -> None:
    hosted.tag(tag)
    api.repo.tags[tag] = hosted.git("rev-parse", tag)


def updater(*arguments: str | Path) -> str:
    """The client's own command."""
    command = [sys.executable, "-m", "updater", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(hosted: Hosted, folder: Path) -> Path:
    found = re.search(r'root_sha256 = "([0-9a-f]{64})"', (hosted.clone / "feedgen.toml").read_text())
    assert found
    updater("install", hosted.pages.url + "stable.json", folder, "--root-sha256", found[1], "--yes")
    return folder


def assets(api: FakeGitHub) -> dict[str, list[str]]:
    """Names of what is attached to each published release; nothing else may be there."""
    assert not [release.tag for release in api.repo.releases.values() if release.draft]
    found = {r.tag: sorted(asset.name for asset in r.assets) for r in api.repo.releases.values()}
    assert len(found) == len(api.repo.releases), "a tag has two releases"
    return found


def test_from_a_tag_to_an_updated_site(hosted: Hosted, api: FakeGitHub, tmp_path: Path) -> None:
    push_tag(hosted, api, "v1.0.0")
    done = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert done.returncode == 0, done.stdout
    assert hosted.branch_log() == ["Publish v1.0.0", "Begin the site"]
    assert assets(api) == {"v1.0.0": ["shop-1.0.0.index", "shop-1.0.0.zip", "shop-1.0.0.zip.minisig"]}
    attested = (hosted.github.scratch / "artifacts" / "attested").read_text()
    assert "shop-1.0.0.zip" in attested
    site = install(hosted, tmp_path / "installed")
    assert "1.0.0" in (site / "app.py").read_text()

    tip, calls = hosted.branch_tip(), len(api.calls)
    again = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert again.returncode == 0, again.stdout
    assert hosted.branch_tip() == tip, "publishing again changed the site"
    assert not [call for call in api.calls[calls:] if call.writes], "publishing again wrote to GitHub"

    caller = hosted.clone / ".github" / "workflows" / "release.yml"
    image = f"ghcr.io/acme/shop@sha256:{'0' * 64}"
    more = f"    with:\n      notes: github\n      container: {image}\n"
    caller.write_text(caller.read_text().replace("    with:\n", more))
    push_tag(hosted, api, "v1.1.0")
    done = hosted.github.run("release.yml", ref="refs/tags/v1.1.0")
    assert done.returncode == 0, done.stdout
    assert "compare/v1.0.0...v1.1.0" in api.repo.of_tag("v1.1.0")[0].body
    assert image in hosted.branch_file("stable.json")
    updater("update", "--site", site, "--yes")
    assert "1.1.0" in (site / "app.py").read_text()


def test_killed_and_run_again(hosted: Hosted, api: FakeGitHub, tmp_path: Path) -> None:
    """The whole run dies: at its first write to GitHub, and right before the site is written. Then it is repeated."""
    push_tag(hosted, api, "v1.0.0")
    for pattern in (r"^POST /repos/acme/shop/releases$", r"^PATCH /repos/acme/shop/releases/"):
        die_at(hosted, api, pattern)
        assert hosted.branch_log() == ["Begin the site"]
    done = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert done.returncode == 0, done.stdout
    assert assets(api) == {"v1.0.0": ["shop-1.0.0.index", "shop-1.0.0.zip", "shop-1.0.0.zip.minisig"]}
    assert hosted.branch_log() == ["Publish v1.0.0", "Begin the site"]
    assert "1.0.0" in (install(hosted, tmp_path / "installed") / "app.py").read_text()


@pytest.mark.exhaustive
def test_killed_at_every_call_and_run_again(hosted: Hosted, api: FakeGitHub, tmp_path: Path) -> None:
    """The n-th run dies at its n-th call to GitHub and leaves what it did to the next, until one gets through.

    After each of them no feed names a package that cannot be downloaded.
    """
    push_tag(hosted, api, "v1.0.0")
    number = 0
    while dies_at_call(hosted, api, number := number + 1):
        assert number < 40
        if "Publish v1.0.0" in hosted.branch_log():
            assert assets(api) == {"v1.0.0": ["shop-1.0.0.index", "shop-1.0.0.zip", "shop-1.0.0.zip.minisig"]}
    assert number > 3, "the run made hardly any call"
    tip, calls = hosted.branch_tip(), len(api.calls)
    done = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert done.returncode == 0, done.stdout
    assert hosted.branch_tip() == tip
    assert not [call for call in api.calls[calls:] if call.writes]
    assert assets(api) == {"v1.0.0": ["shop-1.0.0.index", "shop-1.0.0.zip", "shop-1.0.0.zip.minisig"]}
    assert hosted.branch_log() == ["Publish v1.0.0", "Begin the site"]
    assert "1.0.0" in (install(hosted, tmp_path / "installed") / "app.py").read_text()


def die_at(hosted: Hosted, api: FakeGitHub, pattern: str) -> None:
    """Run the workflow, and kill all of it once a call to GitHub matches."""

    def reached(calls: list[Call]) -> bool:
        return any(re.search(pattern, f"{call.method} {call.path}") for call in calls)

    assert killed_when(hosted, api, reached), (hosted.github.scratch / "killed.log").read_text()


def dies_at_call(hosted: Hosted, api: FakeGitHub, number: int) -> bool:
    """Run the workflow, and kill all of it at its ``number``-th call to GitHub; False when it ends before that."""
    return killed_when(hosted, api, lambda calls: len(calls) >= number)


def killed_when(hosted: Hosted, api: FakeGitHub, reached: Callable[[list[Call]], bool]) -> bool:
    """Run the workflow, and kill all of it once its calls to GitHub are enough; False when it ends before that."""
    before = len(api.calls)
    command = hosted.github.command("release.yml", "push", "refs/tags/v1.0.0", {})
    cache = {"XDG_CACHE_HOME": str(hosted.github.scratch / "cache")}
    log = (hosted.github.scratch / "killed.log").open("wb")
    with log, subprocess.Popen(command, env=os.environ | cache, stdout=log, stderr=log, start_new_session=True) as run:
        while run.poll() is None:
            if reached(api.calls[before:]):
                kill_family(run.pid)
                run.wait()
                return True
            time.sleep(0.005)
    assert run.returncode == 0, (hosted.github.scratch / "killed.log").read_text()
    return False


def kill_family(pid: int) -> None:
    """End a process and everything below it: act gives each step a session of its own."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    for member in family:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_refresh_reports_and_operate_withdraws(
    hosted: Hosted, api: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timestamp is due; the client test fails, an issue says so; mended, it is closed. Then a release is yanked."""
    for name in ("refresh", "operate"):
        caller = hosted.clone / ".github" / "workflows" / f"{name}-feed.yml"
        caller.write_text(caller.read_text().replace("    with:\n", "    with:\n      client-test: 1\n"))
    hosted.feedgen("site", "pull")
    push_tag(hosted, api, "v1.0.0")
    monkeypatch.setattr("feedgen.cli.publish.now", lambda: now() - timedelta(days=5))
    hosted.feedgen("publish", "v1.0.0", "--keys", str(hosted.keys))
    hosted.feedgen("site", "push", "-m", "Published five days ago")

    package = hosted.site / "packages" / "shop-1.0.0.zip"
    data = package.read_bytes()
    package.unlink()
    hosted.feedgen("site", "push", "-m", "An accident")
    done = hosted.github.run("refresh-feed.yml", "schedule")
    assert done.returncode != 0
    assert hosted.branch_log()[0] == "Sign again", done.stdout
    issues = api.repo.settings["issues"]
    assert [issue["state"] for issue in issues] == ["open"]
    assert "packages/shop-1.0.0.zip" in issues[0]["body"]
    assert api.repo.settings["enabled"] == ["refresh-feed.yml"]

    hosted.feedgen("site", "pull")
    package.write_bytes(data)
    hosted.feedgen("site", "push", "-m", "Mended")
    tip = hosted.branch_tip()
    done = hosted.github.run("refresh-feed.yml", "schedule")
    assert done.returncode == 0, done.stdout
    assert hosted.branch_tip() == tip, "nothing was due"
    assert [issue["state"] for issue in issues] == ["closed"]

    done = hosted.github.run("operate-feed.yml", "workflow_dispatch", operation="list")
    assert done.returncode == 0, done.stdout
    assert re.search(r"1\.0\.0\W+stable, beta, alpha", done.stdout), done.stdout
    hosted.tag("v1.1.0")
    done = hosted.github.run("operate-feed.yml", "workflow_dispatch", operation="diff", version="v1.1.0")
    assert done.returncode == 0, done.stdout
    assert re.search(r"1\.1\.0: is listed\W+in stable", done.stdout), done.stdout
    assert hosted.branch_tip() == tip

    form = {"operation": "yank", "version": "1.0.0", "value": 'It\'s bad; $(touch /tmp/x) `x` "y"', "dry-run": "false"}
    done = hosted.github.run("operate-feed.yml", "workflow_dispatch", **form)
    assert done.returncode == 0, done.stdout
    assert hosted.branch_log()[0] == "yank 1.0.0"
    assert form["value"] in hosted.git("show", "gh-pages:stable.json", where=hosted.github.bare).replace('\\"', '"')


def test_an_artifact_serves_the_site_as_well(
    repository: Hosted, runner_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Packages in the site, and Pages from an artifact: what is served is what was deployed, not the branch."""
    hosted = set_up(repository, runner_files, "--deploy", "pages", store="site")
    hosted.tag("v1.0.0")
    done = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert done.returncode == 0, done.stdout
    assert (hosted.github.pages / "packages" / "shop-1.0.0.zip").is_file()
    assert not (hosted.github.pages / ".git").exists()
    assert hosted.branch_log() == ["Publish v1.0.0", "Begin the site"]
    assert "1.0.0" in (install(hosted, tmp_path / "installed") / "app.py").read_text()
