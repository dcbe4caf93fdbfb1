"""Public downloads: the web site redirects to a storage that serves ranges and wants no token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

if TYPE_CHECKING:
    from tests.support.github.server import FakeGitHub

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def register(fake: FakeGitHub) -> None:
    """Add the addresses."""
    app = fake.app

    @app.get("/<owner>/<name>/releases/download/<path:tag>/<file>")
    def download(owner: str, name: str, tag: str, file: str) -> AnyResponse:
        repo = fake.find_repo(owner, name)
        if repo is None or repo.private:
            return Response("Not Found", 404)
        for release in repo.of_tag(tag, draft=False):
            asset = release.asset(file)
            if asset is not None and asset.state == "uploaded":
                if repo.public_after > 0:
                    repo.public_after -= 1
                    break
                return redirect(f"{fake.storage_url}/{asset.id}?sig=secret")
        return Response("Not Found", 404)

    @app.get("/storage/<int:number>")
    def storage(number: int) -> Response:
        if "Authorization" in request.headers:
            return Response("Only one auth mechanism allowed", 400)
        assets = (a for repo in fake.repos for r in repo.releases.values() for a in r.assets)
        asset = next((a for a in assets if a.id == number), None)
        if asset is None or request.args.get("sig") != "secret":
            return Response("No", 403)
        wanted = request.headers.get("Range")
        if not wanted:
            return Response(asset.data, 200, {"Accept-Ranges": "bytes"})
        if "," in wanted:
            return Response("Multiple ranges are not supported", 501)
        match = _RANGE.fullmatch(wanted)
        start, end = (int(match[1]), int(match[2]) + 1 if match[2] else len(asset.data)) if match else (0, 0)
        if not match or start >= len(asset.data):
            return Response("", 416)
        body = asset.data[start:end]
        return Response(body, 206, {"Content-Range": f"bytes {start}-{start + len(body) - 1}/{len(asset.data)}"})
