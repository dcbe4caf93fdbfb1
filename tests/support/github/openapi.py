"""Requests and responses against GitHub's own description."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from flask import Request
from flask import Response as FlaskResponse
from openapi_core import Config, OpenAPI
from openapi_core.contrib.flask import FlaskOpenAPIRequest, FlaskOpenAPIResponse
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import ImmutableMultiDict

DESCRIPTION = Path(__file__).parents[2] / "data" / "github-openapi.json"


@cache
def description() -> Any:
    """The description as data. Uploads may have any type, which the description forgets to say."""
    data = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    upload = data["paths"]["/repos/{owner}/{repo}/releases/{release_id}/assets"]["post"]["requestBody"]["content"]
    upload["*/*"] = copy.deepcopy(upload["application/octet-stream"])
    asset = data["components"]["schemas"]["release-asset"]["properties"]["state"]
    asset["enum"] = [*asset["enum"], "starter"]  # described in words only
    return data


@cache
def _openapi() -> OpenAPI:
    return OpenAPI.from_dict(description(), config=Config(spec_validator_cls=None))


class _Request(FlaskOpenAPIRequest):
    """A request as GitHub would have seen it: on its host, whatever prefix the server has here."""

    def __init__(self, request: Request, area: str, path: str) -> None:
        super().__init__(request)
        self._area, self._path = area, path
        self.parameters.path = {}
        # An upload without a label sends an empty one, which GitHub takes.
        items = [(key, value) for key, value in request.args.items(multi=True) if (key, value) != ("label", "")]
        self.parameters.query = ImmutableMultiDict(items)

    @property
    def host_url(self) -> str:
        return f"https://{'uploads' if self._area == 'uploads' else 'api'}.github.com"

    @property
    def path(self) -> str:
        head, mark, ref = self._path.partition("/git/ref")  # a ref has slashes, which templates do not match
        if not mark or not ref.startswith(("/", "s/")):
            return self._path
        kind, _, rest = ref.partition("/")
        return f"{head}{mark}{kind}/{rest.replace('/', '~')}" if rest else self._path

    @property
    def path_pattern(self) -> str:
        return self.path


def _words(error: BaseException) -> str:
    causes = []
    found: BaseException | None = error
    while found is not None:
        errors = getattr(found, "schema_errors", None)
        causes.append("; ".join(str(item).splitlines()[0] for item in errors) if errors else str(found))
        found = found.__cause__
    return " <- ".join(causes)


def request_problem(request: Request, area: str, path: str) -> str:
    """What is wrong with a request; empty when nothing is."""
    try:
        _openapi().validate_request(_Request(request, area, path))
    except OpenAPIError as error:
        return f"{request.method} {path}: {_words(error)}"
    return ""


def response_problem(request: Request, response: FlaskResponse, area: str, path: str) -> str:
    """What is wrong with a response; empty when nothing is, or when the description does not know its status."""
    if response.mimetype != "application/json" or response.status_code == 304:
        return ""
    try:
        _openapi().validate_response(_Request(request, area, path), FlaskOpenAPIResponse(response))
    except OpenAPIError as error:
        if response.status_code >= 400 and type(error).__name__ in ("ResponseNotFound", "ResponseFinderError"):
            return ""
        return f"{response.status_code} of {request.method} {path}: {_words(error)}"
    return ""
