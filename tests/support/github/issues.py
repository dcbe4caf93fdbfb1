"""Issues, labels, and the switch of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, request

from tests.support.github.repository import blank, user

if TYPE_CHECKING:
    from tests.support.github.server import FakeGitHub


def register(fake: FakeGitHub) -> None:
    """Add the addresses. What happened is in ``fake.repo.settings``: ``issues``, ``labels``, ``enabled``."""
    app = fake.app

    def stored(owner: str, name: str, key: str) -> list[Any]:
        repo = fake.find_repo(owner, name)
        assert repo is not None
        found: list[Any] = repo.settings.setdefault(key, [])
        return found

    def show(issue: dict[str, Any]) -> dict[str, Any]:
        labels = [
            {"id": 1, "node_id": "L", "url": fake.api_url, "name": name, "color": "fff", "default": False}
            for name in issue["labels"]
        ]
        return {
            **blank(fake, "issue"),
            **issue,
            "labels": labels,
            "user": user(fake, "github-actions[bot]"),
            "author_association": "NONE",
        }

    @app.get("/repos/<owner>/<name>/issues")
    def issues(owner: str, name: str) -> Response:
        if refused := fake.refuse("issues", "read"):
            return refused
        wanted = set(request.args.get("labels", "").split(",")) - {""}
        state = request.args.get("state", "open")
        found = [i for i in stored(owner, name, "issues") if i["state"] == state and wanted <= set(i["labels"])]
        return fake.pages(found, show)

    @app.post("/repos/<owner>/<name>/issues")
    def new_issue(owner: str, name: str) -> Response:
        if refused := fake.refuse("issues", "write"):
            return refused
        there = stored(owner, name, "issues")
        there.append({"number": len(there) + 1, "state": "open", "comments": 0, "labels": [], **request.get_json()})
        return fake.json(show(there[-1]), 201)

    @app.patch("/repos/<owner>/<name>/issues/<int:number>")
    def change_issue(owner: str, name: str, number: int) -> Response:
        if refused := fake.refuse("issues", "write"):
            return refused
        issue = stored(owner, name, "issues")[number - 1]
        issue.update(request.get_json())
        return fake.json(show(issue))

    @app.post("/repos/<owner>/<name>/issues/<int:number>/comments")
    def comment(owner: str, name: str, number: int) -> Response:
        if refused := fake.refuse("issues", "write"):
            return refused
        issue = stored(owner, name, "issues")[number - 1]
        issue["comments"] += 1
        shown = {**blank(fake, "issue-comment"), "user": None, "author_association": "NONE"}
        return fake.json({**shown, "body": request.get_json()["body"]}, 201)

    @app.post("/repos/<owner>/<name>/labels")
    def label(owner: str, name: str) -> Response:
        if refused := fake.refuse("issues", "write"):
            return refused
        there, made = stored(owner, name, "labels"), request.get_json()
        if made["name"] in there:
            problem = {"resource": "Label", "code": "already_exists", "field": "name"}
            return fake.error(422, "Validation Failed", errors=[problem])
        there.append(made["name"])
        return fake.json({**blank(fake, "label"), **made, "default": False}, 201)

    @app.put("/repos/<owner>/<name>/actions/workflows/<file>/enable")
    def enable(owner: str, name: str, file: str) -> Response:
        if refused := fake.refuse("actions", "write"):
            return refused
        stored(owner, name, "enabled").append(file)
        return Response("", 204)
