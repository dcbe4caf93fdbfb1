"""The example shop, published by the real commands into a folder that is served on loopback."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import LoopbackServer

__all__ = ["Feed", "publish_shop"]

ROOT = Path(__file__).resolve().parents[3]
TAGS = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0")
UNIMPORTABLE = "shop/wsgi.py"
"""What 1.3.0, which exists here alone, breaks: no server can even load it."""


@dataclass(frozen=True)
class Feed:
    """Where the shop's releases are: 1.1.0 is good, 1.2.0 cannot serve, 1.3.0 cannot be imported."""

    url: str
    root: bytes


@contextmanager
def publish_shop(home: Path) -> Iterator[Feed]:
    """Make the repository, publish its tags with real keys, and serve the site."""
    repository = home / "repository"
    _make_repository(repository)
    site = repository / ".feedgen" / "site"
    site.mkdir(parents=True)
    environment = os.environ | {"FEEDGEN_PASSPHRASE": "a passphrase for tests", "GIT_CONFIG_GLOBAL": os.devnull}

    def feedgen(*words: str) -> None:
        command = [sys.executable, "-m", "feedgen", *words, "--keys", str(home / "keys")]
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    with LoopbackServer(site) as server:
        feedgen("init", "--app", "shop", "--base-url", server.url)
        for tag in TAGS:
            feedgen("publish", tag)
        yield Feed(f"{server.url}stable.json", (site / "metadata" / "1.root.json").read_bytes())


def _make_repository(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_repo", ROOT / "examples" / "shop" / "make_repo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make_repo(repository)
    (repository / UNIMPORTABLE).write_text('raise ImportError("1.3.0 cannot be loaded")\n')
    identity = {
        f"GIT_{role}_{key}": "shop@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    environment = os.environ | identity | {"GIT_CONFIG_GLOBAL": os.devnull}
    for words in (("commit", "--quiet", "--all", "--message", "Break it"), ("tag", "v1.3.0")):
        subprocess.run(["git", *words], cwd=repository, env=environment, check=True, capture_output=True)
