"""How often each release was downloaded, kept day by day in the site for the chart of the public page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from feedgen.build import package_name
from feedgen.doctor.api import RepositoryApi
from feedgen.errors import PublishError, SourceError
from feedgen.page.adoption import ADOPTION_FILE, MOST_VERSIONS, history_bytes, read_history, record_counts
from feedgen.publish.writer import replace_file
from feedgen.source import parse_tag
from updater.schema import PublisherConfig

__all__ = ["count_downloads", "record_downloads"]

_PAGE = 100
_MOST_PAGES = 50


def count_downloads(api: RepositoryApi, config: PublisherConfig) -> dict[str, int]:
    """How often each release was downloaded, as a package or by a delta, by version. GitHub counts our own as well.

    The newest on GitHub come first, and no more are asked for than the history holds. Raises ``PublishError``.
    """
    counts: dict[str, int] = {}
    for release in _releases(api):
        try:
            version = parse_tag(release["tag_name"], config.tag_prefix)
        except SourceError:
            continue
        name = package_name(config.app, config.component, version)
        deltas = f"-{version}.delta"
        found = [
            asset["download_count"]
            for asset in release["assets"]
            if asset["name"] == name or asset["name"].endswith(deltas)
        ]
        if found:
            counts[version] = sum(found)
        if len(counts) >= MOST_VERSIONS:
            break
    return counts


def record_downloads(site: Path, counts: dict[str, int], now: datetime) -> bool:
    """Put today's counts into the site's history; says whether that changed it."""
    path = site / ADOPTION_FILE
    before = path.read_bytes() if path.is_file() else b""
    after = history_bytes(record_counts(read_history(before) if before else {}, counts, now))
    if not counts or after == before:
        return False
    replace_file(path, after)
    return True


def _releases(api: RepositoryApi) -> Iterator[dict[str, Any]]:
    for page in range(1, _MOST_PAGES + 1):
        answer = api.call("GET", f"/releases?per_page={_PAGE}&page={page}")
        if not answer.ok:
            raise PublishError(f"GitHub did not list the releases ({answer.status})")
        yield from (release for release in answer.body if not release["draft"])
        if len(answer.body) < _PAGE:
            return
