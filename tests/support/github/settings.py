"""Settings of a repository that can be read: what ``Repo.settings`` holds, by the end of the address.

    repo.settings["pages"] = {...}
    repo.settings["environments/github-pages/deployment-branch-policies"] = {"total_count": 0, "branch_policies": []}

What is not there is answered with 404, as by GitHub. Answers are checked against the description like all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, request

if TYPE_CHECKING:
    from tests.support.github.server import FakeGitHub

PERMISSIONS = {
    "actions": "actions",
    "branches": "administration",
    "environments": "environments",
    "immutable-releases": "administration",
    "pages": "pages",
    "rules": "metadata",
    "rulesets": "metadata",
}
"""First word of an address to the area of permission that reading it takes."""


def register(fake: FakeGitHub) -> None:
    """Add the addresses."""

    @fake.app.get("/repos/<owner>/<name>/<any(actions,branches,environments,pages,rules,rulesets):area>")
    @fake.app.get("/repos/<owner>/<name>/<any(actions,branches,environments,pages,rules,rulesets):area>/<path:rest>")
    def setting(owner: str, name: str, area: str, rest: str = "") -> Response:
        repo = fake.find_repo(owner, name)
        key = f"{area}/{rest}" if rest else area
        if repo is None:
            return fake.error(404, "Not Found")
        if refused := fake.refuse("secrets" if "secrets" in key else PERMISSIONS[area], "read"):
            return refused
        if key not in repo.settings:
            return fake.error(404, "Not Found")
        return fake.json(repo.settings[key])

    @fake.app.route("/repos/<owner>/<name>/immutable-releases", methods=["GET", "PUT", "DELETE"])
    def immutable(owner: str, name: str) -> Response:
        repo = fake.find_repo(owner, name)
        if repo is None:
            return fake.error(404, "Not Found")
        if refused := fake.refuse("administration", "read" if request.method == "GET" else "write"):
            return refused
        if request.method == "GET":
            return fake.json({"enabled": repo.immutable_releases, "enforced_by_owner": False})
        repo.immutable_releases = request.method == "PUT"
        return Response("", 204)
