"""The repository itself and its tags."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from flask import Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from tests.support.github import openapi
from tests.support.github.state import Repo

if TYPE_CHECKING:
    from tests.support.github.server import FakeGitHub

_TIME = "2026-01-01T00:00:00Z"
_BLANK = {"string": "", "integer": 0, "boolean": False}


def blank(fake: FakeGitHub, name: str) -> dict[str, Any]:
    """The required members of a schema of the description, each with a dull value of the right type."""
    schema = openapi.description()["components"]["schemas"][name]
    found: dict[str, Any] = {}
    for key in schema["required"]:
        kind = schema["properties"][key]
        if key == "url" or key.endswith("_url"):
            found[key] = f"{fake.api_url}/{key}"
        elif kind.get("format") == "date-time":
            found[key] = _TIME
        elif kind.get("nullable"):
            found[key] = None
        else:
            found[key] = _BLANK.get(kind.get("type", ""))
    return found


def user(fake: FakeGitHub, login: str) -> dict[str, Any]:
    """A person as lists show them."""
    return {**blank(fake, "simple-user"), "login": login, "id": 1, "type": "User"}


def show_repo(fake: FakeGitHub, repo: Repo) -> dict[str, Any]:
    """The repository as the API shows it."""
    owner, _, name = repo.full_name.partition("/")
    url = f"{fake.api_url}/repos/{repo.full_name}"
    return {
        **blank(fake, "full-repository"),
        "id": 7,
        "name": name,
        "full_name": repo.full_name,
        "owner": user(fake, owner),
        "private": repo.private,
        "url": url,
        "html_url": f"{fake.web_url}/{repo.full_name}",
        "releases_url": url + "/releases{/id}",
        "default_branch": repo.settings.get("default_branch", "main"),
        "has_pages": "pages" in repo.settings,
        "license": None,
    }


def annotated_sha(tag: str) -> str:
    """The id of a tag object."""
    return hashlib.sha1(tag.encode(), usedforsecurity=False).hexdigest()


def register(fake: FakeGitHub) -> None:
    """Add the addresses."""
    app = fake.app

    @app.get("/repos/<owner>/<name>")
    def repository(owner: str, name: str) -> AnyResponse:
        renamed = next((repo for repo in fake.repos if repo.renamed_from == f"{owner}/{name}"), None)
        if renamed is not None:
            return redirect(f"{fake.api_url}/repos/{renamed.full_name}", 301)
        repo = fake.find_repo(owner, name)
        if repo is None or (repo.private and (fake.token is None or not fake.token.may("metadata", "read"))):
            return fake.error(404, "Not Found")
        return fake.json(show_repo(fake, repo))

    @app.get("/repos/<owner>/<name>/git/ref/<path:ref>")
    def git_ref(owner: str, name: str, ref: str) -> Response:
        repo = fake.find_repo(owner, name)
        kind, _, tag = ref.partition("/")
        if repo is None or kind != "tags" or tag not in repo.tags:
            return fake.error(404, "Not Found")
        url = f"{fake.api_url}/repos/{repo.full_name}/git"
        sha = annotated_sha(tag) if tag in repo.annotated else repo.tags[tag]
        target = {"type": "tag" if tag in repo.annotated else "commit", "sha": sha, "url": f"{url}/tags/{sha}"}
        return fake.json({"ref": f"refs/{ref}", "node_id": "R", "url": f"{url}/refs/{ref}", "object": target})

    @app.get("/repos/<owner>/<name>/git/tags/<sha>")
    def git_tag(owner: str, name: str, sha: str) -> Response:
        repo = fake.find_repo(owner, name)
        tag = next((tag for tag in repo.annotated if annotated_sha(tag) == sha), None) if repo else None
        if repo is None or tag is None:
            return fake.error(404, "Not Found")
        url = f"{fake.api_url}/repos/{repo.full_name}/git"
        return fake.json(
            {
                "sha": sha,
                "url": f"{url}/tags/{sha}",
                "node_id": "T",
                "tag": tag,
                "message": tag,
                "tagger": {"date": _TIME, "email": "test@acme.example", "name": "Test"},
                "object": {"type": "commit", "sha": repo.tags[tag], "url": f"{url}/commits/{repo.tags[tag]}"},
            }
        )
