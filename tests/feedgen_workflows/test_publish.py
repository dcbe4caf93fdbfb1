"""From a pushed tag to a site that clients update from: the real workflow files, run by act."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.feedgen_workflows.conftest import Hosted

pytestmark = pytest.mark.slow


def updater(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The client's own command."""
    command = [sys.executable, "-m", "updater", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def root_of(hosted: Hosted) -> str:
    found = re.search(r'root_sha256 = "([0-9a-f]{64})"', (hosted.clone / "feedgen.toml").read_text())
    assert found
    return found[1]


def test_from_a_tag_to_an_updated_site(hosted: Hosted, tmp_path: Path) -> None:
    hosted.tag("v1.0.0")
    done = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert done.returncode == 0, done.stdout
    assert hosted.branch_log() == ["Publish v1.0.0", "Begin the site"]

    install = tmp_path / "installed"
    installed = updater("install", hosted.pages.url + "stable.json", install, "--root-sha256", root_of(hosted), "--yes")
    assert installed.returncode == 0, installed.stderr + installed.stdout
    assert "1.0.0" in (install / "app.py").read_text()

    tip = hosted.branch_tip()
    again = hosted.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert again.returncode == 0, again.stdout
    assert hosted.branch_tip() == tip, "publishing again changed the site"

    hosted.tag("v1.1.0")
    assert hosted.github.run("release.yml", ref="refs/tags/v1.1.0").returncode == 0
    updated = updater("update", "--site", install, "--yes")
    assert updated.returncode == 0, updated.stderr + updated.stdout
    assert "1.1.0" in (install / "app.py").read_text()
