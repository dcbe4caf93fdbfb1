"""docs/publishing.md, followed: what it says, and the commands that ``feedgen init --github`` prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedgen import __version__
from feedgen.workflow.callers import DEFAULT_SOURCE, github_repository, resolve_pin
from feedgen.workflow.plan import ENVIRONMENTS
from tests.feedgen_workflows.conftest import Hosted, secrets
from tests.feedgen_workflows.test_doctor import settings
from tests.feedgen_workflows.words import commands, follow
from tests.support.github import FakeGitHub, Token

GH = '''#!{python}
"""The GitHub CLI, as far as our commands use it: what it is asked for goes to the fake, which checks it."""
import json, os, re, sys, urllib.error, urllib.request

def put(into, keys, value):
    key, rest = keys[0], keys[1:]
    if isinstance(into, list):
        if not rest:
            into.append(value)
        elif into and rest[0] not in into[-1]:
            put(into[-1], rest, value)
        else:
            into.append({{}})
            put(into[-1], rest, value)
    elif not rest:
        into[key] = value
    else:
        put(into.setdefault(key, [] if rest[0] == "" else {{}}), rest, value)

arguments = sys.argv[1:]
said = {{"arguments": arguments}}
if arguments[0] == "api":
    method, path, body = "GET", "", {{}}
    rest = arguments[1:]
    while rest:
        word = rest.pop(0)
        if word == "-X":
            method = rest.pop(0)
        elif word in ("-f", "-F"):
            name, given, value = rest.pop(0).partition("=")
            keys = re.split(r"\\]?\\[", name.removesuffix("]"))
            if not given:
                put(body, keys[:-1], [])
            else:
                put(body, keys, {{"true": True, "false": False}}.get(value, value) if word == "-F" else value)
        else:
            path = word
    data = json.dumps(body).encode() if body else None
    headers = {{"Authorization": "Bearer " + os.environ["GH_TOKEN"], "Content-Type": "application/json"}}
    request = urllib.request.Request(os.environ["GITHUB_API_URL"] + "/" + path, data, headers, method=method)
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        if error.code not in (404, 405):  # what the fake does not remember
            sys.exit(error.read().decode())
    said["body"] = body
elif arguments[:2] == ["secret", "set"]:
    said["stdin"] = "" if sys.stdin.isatty() else sys.stdin.read() if "PASSPHRASE" not in arguments[2] else ""
with open(os.environ["GH_LOG"], "a") as log:
    log.write(json.dumps(said) + "\\n")
'''


@pytest.fixture
def api(repository: Hosted, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        reads = ("actions", "administration", "contents", "environments", "metadata", "pages", "secrets")
        fake.tokens["pretended-token"] = Token(permissions=dict.fromkeys(reads, "write"))
        fake.repo.settings |= settings(fake)
        fake.repo.settings["pages"]["html_url"] = repository.pages.url
        monkeypatch.setenv("GITHUB_API_URL", fake.api_url)
        monkeypatch.setenv("GH_TOKEN", "pretended-token")
        repository.github.environment["GITHUB_API_URL"] = fake.api_url
        yield fake


@pytest.fixture
def project(tmp_path: Path) -> dict[str, str]:
    """Our own repository on GitHub, with a release; and the app's, under its address. Settings for git."""
    source = tmp_path / "tagship"
    subprocess.run(["git", "init", "-q", source], check=True)
    subprocess.run(["git", "-C", source, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run(["git", "-C", source, "tag", "-a", "-m", "x", f"v{__version__}"], check=True)
    return {str(source): f"https://github.com/{DEFAULT_SOURCE}"}


def use(monkeypatch: pytest.MonkeyPatch, addresses: dict[str, str]) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(addresses)))
    for number, (path, url) in enumerate(addresses.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", f"url.{path}.insteadOf")
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", url)


@pytest.mark.slow
def test_publishing_word_by_word(
    repository: Hosted,
    api: FakeGitHub,
    project: dict[str, str],
    runner_files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    use(monkeypatch, {**project, str(repository.github.bare): "https://github.com/acme/shop"})
    repository.git("remote", "set-url", "origin", "https://github.com/acme/shop")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "An app")
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH.format(python=sys.executable))
    gh.chmod(0o755)
    log = tmp_path / "gh.log"
    monkeypatch.setenv("GH_LOG", str(log))
    keys = tmp_path / ".config" / "tagship" / "shop" / "keys"

    init, release = (
        block.replace("https://acme.github.io/shop/", repository.pages.url)
        for block in commands("publishing.md", "follow")
    )
    said = follow(init, repository.clone, gh.parent)
    pin = resolve_pin(DEFAULT_SOURCE)
    assert re.fullmatch("[0-9a-f]{40}", pin)
    assert f"publish.yml@{pin} # v{__version__}" in (repository.clone / ".github/workflows/release.yml").read_text()

    printed = said.partition("What is left to do")[2]
    lines = [line.strip() for line in printed.splitlines() if line.startswith("   ")]
    assert len(lines) > 25
    api.validate = True
    for line in lines:
        if line == "feedgen doctor":
            assert api.violations == [], "GitHub would refuse a printed command"
            api.validate = False  # runs and branches have dozens of members that nobody here reads
        follow(line, repository.clone, gh.parent)
    asked = [json.loads(line) for line in log.read_text().splitlines()]
    given = [
        (a["arguments"][5 if "--repo" not in a["arguments"] else 6], a) for a in asked if a["arguments"][0] == "secret"
    ]
    for environment, names in ENVIRONMENTS.items():
        stdin = {a["arguments"][2]: a["stdin"] for where, a in given if where == environment}
        assert set(stdin) == {"FEEDGEN_PASSPHRASE", *(f"FEEDGEN_KEY_{name.upper()}" for name in names)}
        assert all((keys / f"{name}.pem").read_text() == stdin[f"FEEDGEN_KEY_{name.upper()}"] for name in names)

    follow(release, repository.clone, gh.parent)
    api.repo.tags["v1.0.0"] = repository.git("rev-parse", "v1.0.0")
    repository.github.library, repository.github.python = runner_files
    repository.github.secrets = secrets(keys)
    monkeypatch.delenv("GIT_CONFIG_COUNT")
    done = repository.github.run("release.yml", ref="refs/tags/v1.0.0")
    assert done.returncode == 0, done.stdout
    install = re.search(r"updater install \S+ DIR --root-sha256 \S+", said)
    assert install
    follow(install[0].replace("DIR", "installed") + " --yes", tmp_path)
    assert (tmp_path / "installed" / "README.md").read_text() == "shop\n"


def test_edited_workflows_are_shown_and_kept(repository: Hosted) -> None:
    arguments = ("init", "--github", "--repository", "acme/shop", "--workflows-at", "b" * 40)
    start = ("--app", "shop", "--base-url", "https://acme.github.io/shop/", "--keys", str(repository.keys))
    repository.feedgen(*arguments, *start)
    path = repository.clone / ".github" / "workflows" / "release.yml"
    written = path.read_text()
    assert "(as it was)" in repository.feedgen(*arguments).output
    path.write_text(written.replace("store: github", "store: site"))
    before = {p: p.read_bytes() for p in path.parent.iterdir()}
    refused = repository.feedgen("init", "--github", "--repository", "acme/shop", "--workflows-at", "c" * 40, code=2)
    assert "-      store: site\n+      store: github" in refused.output
    assert {p: p.read_bytes() for p in path.parent.iterdir()} == before
    repository.feedgen(*arguments, "--overwrite")
    assert path.read_text() == written


@pytest.mark.parametrize("deploy", ["branch", "pages"])
@pytest.mark.parametrize("store", ["github", "site"])
def test_rendered_workflows_pass_the_linters(repository: Hosted, deploy: str, store: str) -> None:
    repository.feedgen(
        "init", "--app", "shop", "--base-url", "https://acme.github.io/shop/", "--keys", str(repository.keys),
        "--github", "--repository", "acme/shop", "--workflows-at", "b" * 40, "--deploy", deploy, "--store", store,
    )  # fmt: skip
    files = sorted(map(str, (repository.clone / ".github/workflows").iterdir()))
    tools = Path(sys.executable).parent
    for command in (
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files],
        ["actionlint", *files],
        ["zizmor", "--offline", "--quiet", "--persona", "pedantic", *files],
    ):
        done = subprocess.run([tools / command[0], *command[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("remote", "repository"),
    [
        ("https://github.com/acme/shop", "acme/shop"),
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("ssh://git@github.com/acme/shop", "acme/shop"),
        ("https://ghe.example/acme/shop.js/", "acme/shop.js"),
        ("/srv/git/shop.git", ""),
        ("", ""),
    ],
)
def test_the_repository_of_a_remote(remote: str, repository: str) -> None:
    assert github_repository(remote) == repository
