"""The server: hosts, tokens, rate limits, ETags, faults, and the record of calls."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, g, request
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.github import downloads, graphql, issues, openapi, releases, repository, settings
from tests.support.github.faults import Fault
from tests.support.github.state import Call, Clock, Release, Repo, Token

AREAS = (repository, releases, settings, issues, graphql, downloads)
ACCEPT = "X-Accepted-GitHub-Permissions"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class FakeGitHub:
    """``with FakeGitHub() as github``: one server for the API, uploads, the web site and the storage behind it.

    ``enterprise``: the API is below ``/api/v3``, as on GitHub Enterprise Server. ``upload_host``: uploads go to a host
    of their own, as on github.com (it must resolve to 127.0.0.1). ``validate=False``: for measuring.
    """

    def __init__(self, *, enterprise: bool = False, upload_host: str = "", validate: bool = True) -> None:
        self.enterprise = enterprise
        self.upload_host = upload_host
        self.validate = validate
        self.clock = Clock()
        self.repos: list[Repo] = [Repo()]
        self.tokens: dict[str, Token] = {"ghp_sesame": Token()}
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.limit = self.remaining = 5000
        self.reset = self.clock.now() + 3600
        self.stopping = threading.Event()
        self.lock = threading.RLock()
        self._ids = 1000
        self.app = Flask("github")
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        for area in AREAS:
            area.register(self)
        self._server = make_server("127.0.0.1", 0, self._wsgi, threaded=True, request_handler=_Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> FakeGitHub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def repo(self) -> Repo:
        """The first repository."""
        return self.repos[0]

    @property
    def web_url(self) -> str:
        """Where people and sites go."""
        return f"http://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        """What ``GITHUB_API_URL`` would say."""
        return f"{self.web_url}/api/v3" if self.enterprise else self.web_url

    @property
    def upload_url(self) -> str:
        """Where assets are sent."""
        if self.enterprise:
            return f"{self.web_url}/api/uploads"
        return f"http://{self.upload_host}:{self.port}" if self.upload_host else self.web_url

    @property
    def storage_url(self) -> str:
        """Where downloads lead: another host, as far as tokens are concerned."""
        return f"http://127.0.0.1:{self.port}/storage"

    def new_id(self) -> int:
        """A number that nothing else has."""
        self._ids += 1
        return self._ids

    def preload(self, count: int) -> None:
        """Publish ``count`` old releases at once."""
        for number in range(count):
            release = Release(self.new_id(), f"v0.{number}.0", f"0.{number}.0", "old")
            self.repo.releases[release.id] = release

    def find_repo(self, owner: str, name: str) -> Repo | None:
        """A repository by its present name."""
        full = f"{owner}/{name}".lower()
        return next((repo for repo in self.repos if repo.full_name.lower() == full), None)

    @property
    def token(self) -> Token | None:
        """That of the request being answered."""
        words = request.headers.get("Authorization", "").split()
        return self.tokens.get(words[1]) if len(words) == 2 else None

    def refuse(self, area: str, level: str) -> Response | None:
        """The answer when the token may not do that; as GitHub, 404 for a classic token, 403 for others."""
        token = self.token
        if token is not None and token.may(area, level):
            return None
        if token is None or token.kind == "classic":
            return self.error(404, "Not Found")
        who = "integration" if token.kind == "actions" else "personal access token"
        return self.error(403, f"Resource not accessible by {who}", headers={ACCEPT: f"{area}={level}"})

    def json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """An answer."""
        return Response(json.dumps(value), status, {**(headers or {})}, mimetype="application/json")

    def error(
        self,
        status: int,
        message: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """An answer that says no."""
        value: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
        if errors:
            value["errors"] = errors
        return self.json(value, status, headers)

    def pages(self, items: list[Any], show: Callable[[Any], Any]) -> Response:
        """One page of a list, with links to the next and the last."""
        size = min(int(request.args.get("per_page", 30)), 100)
        page = int(request.args.get("page", 1))
        last = max(1, -(-len(items) // size))
        here = f"{self.api_url}{g.path}"
        links = {"next": page + 1, "last": last} if page < last else {}
        text = ", ".join(
            f'<{here}?{urlencode({"per_page": size, "page": n})}>; rel="{rel}"' for rel, n in links.items()
        )
        shown = [show(item) for item in items[(page - 1) * size : page * size]]
        return self.json(shown, headers={"Link": text} if text else {})

    def api_calls(self) -> list[Call]:
        """What went to the API or to uploads, in order."""
        return [call for call in self.calls if call.area in ("api", "uploads")]

    @contextmanager
    def counting(self) -> Iterator[list[Call]]:
        """The API calls made inside the block."""
        before, made = len(self.calls), list[Call]()
        yield made
        made += [call for call in self.calls[before:] if call.area in ("api", "uploads")]

    def _wsgi(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        for prefix, instead in (("/api/v3/", "/"), ("/api/uploads/", "/"), ("/api/graphql", "/graphql")):
            if path.startswith(prefix):
                environ["PATH_INFO"] = instead + path.removeprefix(prefix) if instead == "/" else instead
        return self.app(environ, start)

    def _before(self) -> Response | None:
        g.path = request.path
        g.area = _area(request)
        g.call = Call(request.method, request.path, g.area)
        g.fault = None
        with self.lock:
            self.calls.append(g.call)
            g.fault = next((fault for fault in self.faults if fault.hits(request.method, request.path)), None)
        if g.fault is not None and g.fault.kind == "hang":
            self.stopping.wait(60)
            raise ConnectionResetError
        request.get_data()
        if g.fault is not None and g.fault.kind == "cut":
            raise ConnectionResetError
        if g.fault is not None and g.fault.kind == "html":
            return Response("<html>Sign in to the network</html>", 200, mimetype="text/html")
        if g.fault is not None and g.fault.kind == "status":
            return self.error(g.fault.status, g.fault.message, errors=g.fault.errors, headers=g.fault.headers)
        if g.area not in ("api", "uploads"):
            return None
        return self._admit()

    def _admit(self) -> Response | None:
        if self.clock.now() >= self.reset:
            self.remaining, self.reset = self.limit, self.clock.now() + 3600
        if self.remaining <= 0:
            return self.error(403, "API rate limit exceeded for user ID 1.")
        if request.headers.get("Authorization") and self.token is None:
            return self.error(401, "Bad credentials")
        if self.validate and g.path != "/graphql" and (problem := openapi.request_problem(request, g.area, g.path)):
            self.violations.append(problem)
            return self.error(500, f"The fake refuses: {problem}")
        return None

    def _after(self, response: Response) -> Response:
        if g.area in ("api", "uploads"):
            self._check_and_tag(response)
            response.headers["x-ratelimit-limit"] = str(self.limit)
            response.headers["x-ratelimit-remaining"] = str(max(self.remaining, 0))
            response.headers["x-ratelimit-reset"] = str(int(self.reset))
        if g.fault is not None:
            response.headers.update(g.fault.headers)
        if g.fault is not None and g.fault.kind == "lost":
            raise ConnectionResetError
        g.call.status = response.status_code
        return response

    def _check_and_tag(self, response: Response) -> None:
        if self.validate and g.fault is None and g.path != "/graphql" and response.status_code != 500:
            problem = openapi.response_problem(request, response, g.area, g.path)
            if problem:
                self.violations.append(problem)
        if request.method == "GET" and response.status_code == 200:
            tag = f'W/"{hashlib.sha1(response.get_data(), usedforsecurity=False).hexdigest()}"'
            response.headers["ETag"] = tag
            if request.headers.get("If-None-Match") == tag:
                response.status_code = 304
                response.set_data(b"")
                return  # does not count against the limit
        self.remaining -= 1


def _area(asked: Any) -> str:
    path: str = asked.path
    if path.startswith("/storage/"):
        return "storage"
    if path.startswith("/repos/") and path.endswith("/assets") and asked.method == "POST":
        return "uploads"
    if path.startswith(("/repos/", "/user", "/graphql", "/rate_limit")):
        return "api"
    return "web"
