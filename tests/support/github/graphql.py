"""The one question of GraphQL that is asked: which release is meant for a tag, drafts included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, request

if TYPE_CHECKING:
    from tests.support.github.server import FakeGitHub


def register(fake: FakeGitHub) -> None:
    """Add the address."""

    @fake.app.post("/graphql")
    def graphql() -> Response:
        variables: dict[str, Any] = request.get_json()["variables"]
        repo = fake.find_repo(variables["owner"], variables["name"])
        if fake.token is None:
            return fake.error(401, "This endpoint requires you to be authenticated.")
        if repo is None:
            return fake.json({"data": {"repository": None}, "errors": [{"type": "NOT_FOUND", "message": "No such"}]})
        found = repo.of_tag(variables["tag"])
        if not fake.token.may("contents", "write"):
            found = [release for release in found if not release.draft]
        release = {"databaseId": found[0].id, "isDraft": found[0].draft} if found else None
        return fake.json({"data": {"repository": {"release": release}}})
