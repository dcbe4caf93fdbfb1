"""Running our real workflow files with ``act``, without docker and without GitHub.

The files are those of the repository but for what act does not know: ``uses: $/...`` (this repository at the
running commit) becomes a pinned reference; ``queue: max`` and the permission ``artifact-metadata`` are left out.
GitHub's own actions are replaced by stubs that do here what the real ones do, found by the commit that we pin.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["BranchServer", "GitHubLike", "make_library", "make_python"]

ROOT = Path(__file__).parents[2]
SOURCE, PIN = "tagship/tagship", "a" * 40
_USES = re.compile(r"uses: (actions/[\w-]+)@([0-9a-f]{40})")

STUBS = {
    "checkout": """
    - shell: bash
      env: {REF: "${{ inputs.ref }}"}
      run: |
        git init -q . && git remote add origin "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
        git fetch -q origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
        git checkout -q --detach "${REF:-${GITHUB_REF/refs\\/heads/refs\\/remotes\\/origin}}"
""",
    "setup-python": """
    - shell: bash
      run: echo "$STUB_PYTHON" >> "$GITHUB_PATH"
""",
    "upload-artifact": """
    - shell: bash
      env: {NAME: "${{ inputs.name }}", FROM: "${{ inputs.path }}"}
      run: mkdir -p "$STUB_ARTIFACTS/$NAME" && cp $FROM "$STUB_ARTIFACTS/$NAME/"
""",
    "download-artifact": """
    - shell: bash
      env: {NAME: "${{ inputs.name }}", PATTERN: "${{ inputs.pattern }}", TO: "${{ inputs.path }}"}
      run: |
        mkdir -p "$TO"
        if [ -n "$NAME" ]; then cp "$STUB_ARTIFACTS/$NAME"/* "$TO/"; else cp -R "$STUB_ARTIFACTS"/$PATTERN "$TO/"; fi
""",
    "attest": """
    - shell: bash
      env: {SUBJECT: "${{ inputs.subject-path }}"}
      run: sha256sum $SUBJECT >> "$STUB_ARTIFACTS/attested"
""",
    "upload-pages-artifact": """
    - shell: bash
      env: {FROM: "${{ inputs.path }}"}
      run: tar -C "$FROM" --exclude='.[^/]*' -cf "$STUB_ARTIFACTS/github-pages.tar" .
""",
    "deploy-pages": """
    - shell: bash
      run: rm -rf "$STUB_PAGES" && mkdir "$STUB_PAGES" && tar -C "$STUB_PAGES" -xf "$STUB_ARTIFACTS/github-pages.tar"
""",
}
_INPUTS = ("name", "path", "pattern", "ref", "subject-path")


def make_library(folder: Path) -> Path:
    """A copy of this project as the runner downloads it, in terms that act knows; stubs of the actions beside it."""
    library = folder / "library"
    for name in ("updater", "feedgen", ".github"):
        shutil.copytree(ROOT / name, library / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, library / name)
    for path in [*library.glob(".github/workflows/*.yml"), *library.glob(".github/actions/*/action.yml")]:
        adapt(path)
    for name, steps in STUBS.items():
        stub = folder / "stubs" / name
        stub.mkdir(parents=True)
        inputs = "".join(f"  {key}: {{default: ''}}\n" for key in _INPUTS)
        text = f"name: {name}\ninputs:\n{inputs}runs:\n  using: composite\n  steps:{steps}"
        (stub / "action.yml").write_text(text, encoding="utf-8")
    return library


def adapt(path: Path) -> None:
    """Rewrite a workflow for act."""
    text = path.read_text(encoding="utf-8")
    text = text.replace("uses: $/", f"uses: {SOURCE}/")
    text = re.sub(r"^ *(queue: max|artifact-metadata: write.*)\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^( *uses: \S+)/(\.github/actions/[\w-]+)$", rf"\1/\2@{PIN}", text, flags=re.MULTILINE)
    text = re.sub(r"^( *- uses: \S+)/(\.github/actions/[\w-]+)$", rf"\1/\2@{PIN}", text, flags=re.MULTILINE)
    text = re.sub(rf"({SOURCE}/\.github/workflows/[\w-]+\.yml)@[0-9a-f]{{40}}", rf"\1@{PIN}", text)
    path.write_text(text, encoding="utf-8")


def make_python(folder: Path) -> Path:
    """A folder with a ``python`` whose virtual environments know the locked dependencies already.

    They are installed once, with their hashes checked, so that each job only finds them in place.
    """
    locked = folder / "locked"
    subprocess.run([sys.executable, "-m", "venv", locked], check=True)
    lock = ROOT / ".github/actions/setup/requirements.txt"
    install: list[Path | str] = [locked / "bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*install, "--require-hashes", "--only-binary", ":all:", "-r", lock], check=True)
    packages = next(locked.glob("lib/python*/site-packages"))
    shim = folder / "python" / "python"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nif [ "$1 $2" != "-m venv" ]; then exec "{sys.executable}" "$@"; fi\n'
        f'"{sys.executable}" -m venv --without-pip "$3"\n'
        f'for d in "$3"/lib/python*/site-packages; do echo "{packages}" > "$d/locked.pth"; done\n',
        encoding="utf-8",
    )
    shim.chmod(0o755)
    return shim.parent


class BranchServer:
    """Serves the newest commit of a branch over HTTP, as Pages does, or a folder instead while that exists."""

    def __init__(self, repository: Path, branch: str, folder: Path | None = None) -> None:
        self.repository, self.branch, self.folder = repository, branch, folder
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = outer.read(self.path.lstrip("/").partition("?")[0])
                self.send_response(200 if data is not None else 404)
                data = b"404\n" if data is None else data
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def read(self, path: str) -> bytes | None:
        """One file of the site."""
        if self.folder is not None and self.folder.is_dir():
            file = self.folder / path
            return file.read_bytes() if file.is_file() else None
        command = ["git", "-C", str(self.repository), "cat-file", "blob", f"{self.branch}:{path}"]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.stdout if not done.returncode else None

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class GitHubLike:
    """A repository on a pretended GitHub: bare, with runners that take jobs from its workflows."""

    bare: Path
    library: Path
    python: Path
    scratch: Path
    repository: str = "acme/shop"
    secrets: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def pages(self) -> Path:
        """What a deployment of an artifact leaves."""
        return self.scratch / "pages"

    def git_environment(self) -> dict[str, str]:
        """Variables with which git finds the bare repository under GitHub's address."""
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self.bare}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"https://github.com/{self.repository}",
        }

    def command(self, workflow: str, event: str, ref: str, inputs: dict[str, str]) -> list[str]:
        """The ``act`` command for one run of a workflow of the app at ``ref``; prepares its folders."""
        artifacts, checkout = self.scratch / "artifacts", self.scratch / "checkout"
        for folder in (artifacts, checkout):
            shutil.rmtree(folder, ignore_errors=True)
        artifacts.mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", self.bare, checkout], check=True)
        subprocess.run(["git", "-C", checkout, "checkout", "-q", ref.rpartition("/")[2]], check=True)
        for path in checkout.glob(".github/workflows/*.yml"):
            adapt(path)
        owner, _, name = self.repository.partition("/")
        payload = {
            "ref": ref,
            "inputs": inputs,
            "repository": {
                "name": name,
                "full_name": self.repository,
                "owner": {"login": owner},
                "default_branch": "main",
            },
        }
        event_file = self.scratch / "event.json"
        event_file.write_text(json.dumps(payload), encoding="utf-8")
        variables = {
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_REF": ref,
            "GITHUB_REF_NAME": ref.split("/", 2)[2],
            "STUB_PYTHON": str(self.python),
            "STUB_ARTIFACTS": str(artifacts),
            "STUB_PAGES": str(self.pages),
            **self.git_environment(),
            **self.environment,
        }
        local = {f"https://github.com/{SOURCE}@{PIN}": self.library} | {
            f"https://github.com/{action}@{commit}": self.library.parent / "stubs" / action.partition("/")[2]
            for path in self.library.glob(".github/*/**/*.yml")
            for action, commit in _USES.findall(path.read_text(encoding="utf-8"))
        }
        act = str(Path(sys.executable).parent / "act")
        command = [act, event, "-W", str(checkout / ".github/workflows" / workflow), "-C", str(checkout)]
        command += ["-e", str(event_file), "--action-offline-mode", "-P", "ubuntu-24.04=-self-hosted"]
        command += [f"--local-repository={key}={path}" for key, path in local.items()]
        command += [part for key, value in variables.items() for part in ("--env", f"{key}={value}")]
        secrets = {"GITHUB_TOKEN": "pretended-token", **self.secrets}
        (self.scratch / "secrets").write_text(
            "".join(f"{key}={json.dumps(value)}\n" for key, value in secrets.items()), encoding="utf-8"
        )
        return [*command, "--secret-file", str(self.scratch / "secrets")]

    def run(
        self, workflow: str, event: str = "push", ref: str = "refs/heads/main", **inputs: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a workflow of the app to its end."""
        command = self.command(workflow, event, ref, inputs)
        return subprocess.run(
            command,
            env={**os.environ, "XDG_CACHE_HOME": str(self.scratch / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
