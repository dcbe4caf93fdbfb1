"""Which superseded files may go: pure, and judged by a record in the site, because a checkout has no useful mtimes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from updater.errors import SchemaError
from updater.schema import dump_json, format_time, parse_json, parse_time

__all__ = ["SUPERSEDED_FILE", "Pruning", "plan_pruning", "read_record", "record_bytes"]

SUPERSEDED_FILE = "superseded.json"
"""At the top of the site: since when each file that no client is led to any more has been superseded."""


@dataclass(frozen=True)
class Pruning:
    """``delete``: paths to remove now. ``since``: the record afterwards, path to the time it was superseded."""

    delete: tuple[str, ...]
    since: Mapping[str, datetime]


def plan_pruning(
    present: Iterable[str], live: Iterable[str], since: Mapping[str, datetime], *, now: datetime, grace: timedelta
) -> Pruning:
    """Judge ``present`` files (paths in the site that could be superseded) against those that are ``live``.

    A file counts as superseded from the first run that finds it so, and goes once ``grace`` has passed.
    """
    dead = sorted(set(present) - set(live))
    moment = now.replace(microsecond=0)
    known = {path: min(since.get(path, moment), moment) for path in dead}
    delete = tuple(path for path in dead if moment - known[path] >= grace)
    return Pruning(delete, {path: at for path, at in known.items() if path not in delete})


def read_record(data: bytes) -> dict[str, datetime]:
    """The record's contents; empty when it is damaged, which only makes files stay for another grace period."""
    try:
        files: Any = parse_json(data, SUPERSEDED_FILE).get("files")
        return {str(path): parse_time(at) for path, at in files.items()}
    except (SchemaError, ValueError, AttributeError, TypeError):
        return {}


def record_bytes(since: Mapping[str, datetime]) -> bytes:
    """The record as a document."""
    return dump_json({"schema": "1.0", "files": {path: format_time(at) for path, at in sorted(since.items())}})
