"""What others can see of a site, where its owner wants it: metrics in a file for Prometheus, a ping for scheduled runs,
and the installed version for the app's maintainer, without a name (docs/fleet.md).

Standard library only. Reporting never decides anything: that it failed is told, and changes nothing.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from updater.schema.document import format_time, parse_time
from updater.site.files import write_atomic
from updater.site.reading import read_json
from updater.site.site import SiteState

__all__ = ["adoption_address", "metrics_text", "ping", "tell_adoption"]

Moment = Literal["start", "success", "fail"]
_SUFFIX: Mapping[Moment, str] = {"start": "/start", "success": "", "fail": "/fail"}
_TIMEOUT = 10.0
"""Seconds for a ping, after which the update goes on without it."""

_WEEK = timedelta(days=7)
"""How often the maintainer's collector is told: one line of its log a week is one site."""

_RESULTS = ("done", "rolled-back", "discarded", "failed", "interrupted")


def metrics_text(
    state: SiteState, channel: str, history: Sequence[Mapping[str, Any]], restore_points: int, now: datetime
) -> str:
    """The text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/), from what the site
    remembers; ``now`` is when it is written. Times are seconds since 1970."""
    labels = {"app": state.app, "component": state.component}
    check = next((entry for entry in reversed(history) if entry.get("event") == "check"), None)
    ended = [entry for entry in history if "result" in entry]
    last = ended[-1] if ended else None
    result = "" if last is None else str(last["result"])
    about = {"version": state.version or "", "channel": channel, "layout": state.layout}
    lines = [
        *_metric("updater_info", "What is installed.", [({**labels, **about}, 1)]),
        *_metric("updater_restore_points", "Versions that can be gone back to.", [(labels, restore_points)]),
        *_metric("updater_written_seconds", "When this was written.", [(labels, now.timestamp())]),
    ]
    if check is not None:
        waits = {**labels, "version": str(check.get("available") or "")}
        available = check.get("available") is not None and check.get("installed") == state.version
        lines += _metric("updater_update_available", "Whether an update waits.", [(waits, int(available))])
        critical = available and check.get("critical") is True
        lines += _metric("updater_update_critical", "Whether it is critical.", [(labels, int(critical))])
        lines += _metric("updater_notices", "Advisories that concern this version.", [(labels, _count(check))])
        fresh = int(check.get("feed") == "fresh")
        lines += _metric("updater_feed_fresh", "Whether the feed was fresh.", [(labels, fresh)])
        lines += _metric("updater_last_check_seconds", "When the feed was asked.", _time(check, labels))
    if last is not None:
        known = [({**labels, "result": name}, int(name == result)) for name in _RESULTS]
        lines += _metric("updater_last_result", "How the last update or rollback ended.", known)
        lines += _metric("updater_last_result_seconds", "When it ended.", _time(last, labels))
    return "\n".join(lines) + "\n"


def _count(check: Mapping[str, Any]) -> int:
    number = check.get("notices")
    return number if isinstance(number, int) else 0


def _time(entry: Mapping[str, Any], labels: Mapping[str, str]) -> list[tuple[Mapping[str, str], float]]:
    try:
        return [(labels, datetime.fromisoformat(str(entry.get("at"))).timestamp())]
    except (ValueError, OverflowError):
        return []


def _metric(name: str, text: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> list[str]:
    shown = [f"{name}{{{_labels(labels)}}} {value:.15g}" for labels, value in samples]
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", *shown] if shown else []


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())


def ping(url: str, moment: Moment, said: str = "") -> str | None:
    """Tell a service such as Healthchecks that a scheduled run began, or how it ended; ``said`` is sent along.

    Returns why that failed, or None. Never raises, and takes some seconds at most.
    """
    failed = _ask(url.rstrip("/") + _SUFFIX[moment], said.encode("utf-8", "replace")[:10_000])
    return None if failed is None else f"The ping to {url} failed: {failed}"


def adoption_address(url: str, state: SiteState, channel: str) -> str:
    """What the maintainer's collector is asked for. App, component, channel and version: nothing tells sites apart."""
    about = {"app": state.app, "component": state.component, "channel": channel, "version": state.version or ""}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(about)}"


def tell_adoption(url: str, state: SiteState, channel: str, remembered: Path, now: datetime) -> str | None:
    """Ask for it, when the version is another one than last time or that is a week ago; ``remembered`` is the note of
    that. Returns why it failed, or None. Raises OSError when the note cannot be written."""
    if state.version is None or not _is_due(remembered, state.version, now):
        return None
    failed = _ask(adoption_address(url, state, channel))
    if failed is not None:
        return f"The maintainer could not be told of {state.version}, {url}: {failed}"
    note = {"format": 1, "version": state.version, "at": format_time(now)}
    write_atomic(remembered, json.dumps(note).encode())
    return None


def _is_due(remembered: Path, version: str, now: datetime) -> bool:
    try:
        found = read_json(remembered)
        last = parse_time(found["at"])
        return bool(found["version"] != version or now < last or now - last >= _WEEK)
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _ask(address: str, data: bytes | None = None) -> str | None:
    """GET, or POST ``data``; why it failed, or None."""
    request = urllib.request.Request(address, data=data, headers={"User-Agent": "tagship-updater"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - https, or this machine
            answer.read(1024)
    except (OSError, ValueError, HTTPException) as error:
        return str(error)
    return None
