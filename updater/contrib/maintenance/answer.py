"""What a visitor is answered while the page is on: a 503, as a page or as JSON."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from .flag import Flag

__all__ = ["PROBE_HEADER", "Answer", "answer_for", "wants_json"]

PROBE_HEADER = "X-Tagship-Probe"
_DEFAULT = "We are updating this site. Please try again in a moment."
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Maintenance</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}}</style>
</head><body><h1>Back soon</h1><p>{message}</p></body></html>
"""


@dataclass(frozen=True)
class Answer:
    """A whole answer, status 503."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


def answer_for(flag: Flag, accept: str, page: bytes | None) -> Answer:
    """The answer to a request with this ``Accept`` header. ``page`` is the app's own HTML, or None for a plain one."""
    message = flag.message or _DEFAULT
    if wants_json(accept):
        kind = "application/json"
        body = (
            json.dumps({"error": "maintenance", "message": message, "retry_after": flag.retry_after}).encode() + b"\n"
        )
    else:
        kind = "text/html; charset=utf-8"
        body = page if page is not None else _PAGE.format(message=html.escape(message)).encode()
    headers = (
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(flag.retry_after)),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept"),
        ("X-Tagship-Maintenance", "1"),
    )
    return Answer(headers, body)


def wants_json(accept: str) -> bool:
    """Whether an ``Accept`` header prefers JSON to a page; a page when it does not say."""
    best = {"json": 0.0, "html": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        which = "json" if kind.endswith(("/json", "+json")) else "html" if "html" in kind else ""
        if which:
            best[which] = max(best[which], _quality(parameters))
    return best["json"] > best["html"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
