"""Releases and their assets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from tests.support.github.repository import user
from tests.support.github.state import Asset, Release, Repo

if TYPE_CHECKING:
    from tests.support.github.server import FakeGitHub

_MOST_ASSETS = 1000


def time_text(seconds: float) -> str:
    """A time as GitHub writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show_asset(fake: FakeGitHub, repo: Repo, release: Release, asset: Asset) -> dict[str, Any]:
    """An asset as the API shows it. Those of drafts have an address that changes."""
    tag = f"untagged-{release.id}" if release.draft else quote(release.tag)
    now = time_text(fake.clock.now() // 3600 * 3600)
    return {
        "url": f"{fake.api_url}/repos/{repo.full_name}/releases/assets/{asset.id}",
        "id": asset.id,
        "node_id": f"RA_{asset.id}",
        "name": asset.name,
        "label": "",
        "uploader": user(fake, "octocat"),
        "content_type": asset.content_type,
        "state": asset.state,
        "size": len(asset.data),
        "digest": asset.digest,
        "download_count": asset.downloads,
        "created_at": now,
        "updated_at": now,
        "browser_download_url": f"{fake.web_url}/{repo.full_name}/releases/download/{tag}/{asset.name}",
    }


def show_release(fake: FakeGitHub, repo: Repo, release: Release) -> dict[str, Any]:
    """A release as the API shows it, without broken assets."""
    api = f"{fake.api_url}/repos/{repo.full_name}"
    now = time_text(fake.clock.now() // 3600 * 3600)
    uploads = f"{fake.upload_url}/repos/{repo.full_name}/releases/{release.id}/assets"
    return {
        "url": f"{api}/releases/{release.id}",
        "assets_url": f"{api}/releases/{release.id}/assets",
        "upload_url": uploads + "{?name,label}",
        "html_url": f"{fake.web_url}/{repo.full_name}/releases/tag/{quote(release.tag)}",
        "id": release.id,
        "author": user(fake, "octocat"),
        "node_id": f"RE_{release.id}",
        "tag_name": release.tag,
        "target_commitish": "main",
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "immutable": release.immutable,
        "created_at": now,
        "published_at": None if release.draft else now,
        "assets": [show_asset(fake, repo, release, a) for a in release.assets if a.state == "uploaded"],
        "tarball_url": f"{api}/tarball/{quote(release.tag)}",
        "zipball_url": f"{api}/zipball/{quote(release.tag)}",
    }


def register(fake: FakeGitHub) -> None:
    """Add the addresses."""
    app = fake.app
    top = "/repos/<owner>/<name>/releases"

    def visible(repo: Repo) -> list[Release]:
        writer = fake.token is not None and fake.token.may("contents", "write")
        found = [release for release in repo.releases.values() if writer or not release.draft]
        return sorted(found, key=lambda release: release.id, reverse=True)

    @app.get(top)
    def list_releases(owner: str, name: str) -> Response:
        repo = fake.find_repo(owner, name)
        if repo is None:
            return fake.error(404, "Not Found")
        return fake.pages(visible(repo), lambda release: show_release(fake, repo, release))

    @app.post(top)
    def create(owner: str, name: str) -> Response:
        repo = fake.find_repo(owner, name)
        if repo is None:
            return fake.error(404, "Not Found")
        if refused := fake.refuse("contents", "write"):
            return refused
        asked = request.get_json()
        tag = asked["tag_name"]
        if not asked.get("draft") and repo.of_tag(tag, draft=False):
            return _invalid(fake, "Release", "tag_name", "already_exists")
        release = Release(fake.new_id(), tag, asked.get("name") or "", asked.get("body") or "", draft=True)
        repo.releases[release.id] = release
        _change(fake, repo, release, asked)
        return fake.json(show_release(fake, repo, release), 201)

    @app.post(f"{top}/generate-notes")
    def generate_notes(owner: str, name: str) -> Response:
        repo = fake.find_repo(owner, name)
        if repo is None:
            return fake.error(404, "Not Found")
        if refused := fake.refuse("contents", "write"):
            return refused
        tag = request.get_json()["tag_name"]
        before = [release.tag for release in visible(repo) if not release.draft and release.tag != tag]
        web = f"{fake.web_url}/{repo.full_name}"
        link = f"{web}/compare/{before[0]}...{tag}" if before else f"{web}/commits/{tag}"
        body = f"## What's Changed\r\n* Carts by @octocat in {web}/pull/1\r\n\r\n**Full Changelog**: {link}\r\n"
        return fake.json({"name": tag, "body": body})

    @app.get(f"{top}/tags/<path:tag>")
    def by_tag(owner: str, name: str, tag: str) -> Response:
        repo = fake.find_repo(owner, name)
        found = repo.of_tag(tag, draft=False) if repo else []
        if repo is None or not found:
            return fake.error(404, "Not Found")
        return fake.json(show_release(fake, repo, found[0]))

    @app.get(f"{top}/latest")
    def latest(owner: str, name: str) -> Response:
        repo = fake.find_repo(owner, name)
        if repo is None or repo.latest is None:
            return fake.error(404, "Not Found")
        return fake.json(show_release(fake, repo, repo.releases[repo.latest]))

    @app.route(f"{top}/<int:number>", methods=["GET", "PATCH"])
    def one(owner: str, name: str, number: int) -> Response:
        repo = fake.find_repo(owner, name)
        release = next((r for r in visible(repo) if r.id == number), None) if repo else None
        if repo is None or release is None:
            return fake.error(404, "Not Found")
        if request.method == "PATCH":
            if refused := fake.refuse("contents", "write"):
                return refused
            _change(fake, repo, release, request.get_json())
        return fake.json(show_release(fake, repo, release))

    @app.get(f"{top}/<int:number>/assets")
    def list_assets(owner: str, name: str, number: int) -> Response:
        repo = fake.find_repo(owner, name)
        release = next((r for r in visible(repo) if r.id == number), None) if repo else None
        if repo is None or release is None:
            return fake.error(404, "Not Found")
        return fake.pages(release.assets, lambda asset: show_asset(fake, repo, release, asset))

    @app.post(f"{top}/<int:number>/assets")
    def upload(owner: str, name: str, number: int) -> Response:
        repo = fake.find_repo(owner, name)
        if repo is None or number not in repo.releases:
            return fake.error(404, "Not Found")
        return refused if (refused := fake.refuse("contents", "write")) else _upload(fake, repo, repo.releases[number])

    @app.get(f"{top}/assets/<int:number>")
    def asset_bytes(owner: str, name: str, number: int) -> AnyResponse:
        repo, release, asset = _find(fake, owner, name, number)
        if repo is None or release is None or asset is None or fake.refuse("contents", "read"):
            return fake.error(404, "Not Found")
        if request.headers.get("Accept") != "application/octet-stream":
            return fake.json(show_asset(fake, repo, release, asset))
        return redirect(f"{fake.storage_url}/{asset.id}?sig=secret")

    @app.delete(f"{top}/assets/<int:number>")
    def delete(owner: str, name: str, number: int) -> Response:
        _, release, asset = _find(fake, owner, name, number)
        if release is None or asset is None:
            return fake.error(404, "Not Found")
        if refused := fake.refuse("contents", "write"):
            return refused
        if release.immutable:
            return fake.error(422, "Cannot delete asset from an immutable release.")
        release.assets.remove(asset)
        return Response("", 204)


def _change(fake: FakeGitHub, repo: Repo, release: Release, asked: dict[str, Any]) -> None:
    """What leaving something out means is GitHub's doing: a PATCH changes only what it names."""
    release.name = asked.get("name", release.name)
    release.body = asked.get("body", release.body)
    release.prerelease = asked.get("prerelease", release.prerelease)
    if not asked.get("draft", release.draft) and release.draft:
        release.draft = False
        release.immutable = repo.immutable_releases
        repo.tags.setdefault(release.tag, "made-by-publishing")
    makes_latest = asked.get("make_latest", "true" if release.id not in repo.releases else "legacy")
    if makes_latest == "true" and not release.draft and not release.prerelease:
        repo.latest = release.id


def _upload(fake: FakeGitHub, repo: Repo, release: Release) -> Response:
    name = request.args["name"]
    data = request.get_data()
    kind = g.fault.kind if g.fault is not None else ""
    if release.immutable:
        return fake.error(422, "Cannot upload assets to an immutable release.")
    if not data or request.headers.get("Transfer-Encoding"):
        return fake.error(400, "Bad Content-Length")
    if release.asset(name) is not None:
        return _invalid(fake, "ReleaseAsset", "name", "already_exists")
    if len(release.assets) >= _MOST_ASSETS:
        return _invalid(fake, "ReleaseAsset", "assets", "too_many")
    asset = Asset(fake.new_id(), name.replace(" ", "."), data, request.mimetype)
    release.assets.append(asset)
    if kind == "starter":
        asset.state, asset.data = "starter", b""
        return fake.error(502, "Server Error")
    if kind == "digest":
        asset.data = data[:-1] + bytes([data[-1] ^ 1])
    return fake.json(show_asset(fake, repo, release, asset), 201)


def _find(fake: FakeGitHub, owner: str, name: str, number: int) -> tuple[Repo | None, Release | None, Asset | None]:
    repo = fake.find_repo(owner, name)
    for release in repo.releases.values() if repo else ():
        for asset in release.assets:
            if asset.id == number:
                return repo, release, asset
    return repo, None, None


def _invalid(fake: FakeGitHub, resource: str, field: str, code: str) -> Response:
    return fake.error(422, "Validation Failed", errors=[{"resource": resource, "field": field, "code": code}])
