"""What can be seen on this machine: settings, keys, expiry, the site, the clone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from feedgen.config import Project
from feedgen.doctor.model import Finding, error, ok, skipped, warning
from feedgen.errors import FeedgenError
from feedgen.keys import KeyRing, key_name
from feedgen.repository.ceremony import ROLES, members
from feedgen.repository.roles import CHANNELS, ONLINE, days_left, due
from feedgen.repository.state import RepositoryState, load
from feedgen.source import parse_tag
from feedgen.verify import Report
from feedgen.workflow.callers import secret_names
from updater.errors import UpdaterError

__all__ = ["local_findings"]

_PIN = re.compile(r"uses:\s*([\w.-]+/[\w.-]+/\.github/workflows/(?:publish|refresh|operate)\.yml)@(\S+)")


def local_findings(
    project: Project, site: Path, ring: KeyRing, now: datetime, look: Callable[[], Report]
) -> Iterator[Finding]:
    """Everything that needs no network; ``look`` checks the site folder as a client does."""
    yield from _settings(project)
    yield from _clone(project)
    yield from _workflows(project.folder)
    try:
        state = load(site)
    except (FeedgenError, UpdaterError, OSError) as problem:
        if not site.exists():
            yield skipped("site", f"{site} is not here", "Fetch it: feedgen site pull")
        else:
            yield error("site", str(problem), "Fetch the published one: feedgen site pull --discard")
        return
    yield from _expiry(state, now)
    yield from _keys(state, ring)
    report = look()
    if report.findings:
        text = "; ".join(f"{finding.where}: {finding.message}" for finding in report.findings)
        yield error("site", text, "Fetch the published one: feedgen site pull --discard; then: feedgen verify")
    else:
        yield ok("site", f"{site} verifies as clients see it")


def _settings(project: Project) -> Iterator[Finding]:
    yield ok("settings", f"feedgen.toml of {project.config.app}")
    if not project.config.root_sha256:
        yield warning(
            "settings",
            "feedgen.toml does not pin the first root, so a site that somebody exchanged would be signed",
            "Put root_sha256 under [publish]; 'feedgen root show' prints it as 'First root'.",
        )


def _clone(project: Project) -> Iterator[Finding]:
    if _git(project.folder, "rev-parse", "--is-shallow-repository") == "true":
        yield error(
            "clone",
            "This clone is shallow: the previous release cannot be found, and packages would come out differently",
            "git fetch --unshallow --tags; in a workflow: fetch-depth: 0 for actions/checkout.",
        )
    else:
        yield ok("clone", "The whole history is here")
    prefix = project.config.tag_prefix
    tags = _git(project.folder, "tag", "--list").split()
    good = [tag for tag in tags if _is_release(tag, prefix)]
    if good or not tags:
        yield ok("tags", f"{len(good)} release tags with the prefix {prefix!r}")
    else:
        example = tags[-1]
        yield warning(
            "tags",
            f"No tag is {prefix!r} and a version; there is {example!r}, for example",
            "Set tag_prefix under [app] in feedgen.toml to what your tags begin with.",
        )


def _is_release(tag: str, prefix: str) -> bool:
    try:
        parse_tag(tag, prefix)
    except FeedgenError:
        return False
    return True


def _workflows(folder: Path) -> Iterator[Finding]:
    found: dict[str, str] = {}
    for path in sorted((folder / ".github" / "workflows").glob("*.y*ml")):
        for used, ref in _PIN.findall(path.read_text(encoding="utf-8", errors="replace")):
            found[used.rpartition("/")[2].partition(".")[0]] = ref
            if not re.fullmatch(r"[0-9a-f]{40}", ref):
                yield warning(
                    "workflows",
                    f"{path.name} names {ref}, which can be moved to other code",
                    "Pin the commit: feedgen init --github --overwrite",
                )
    if not found:
        yield skipped("workflows", "No workflow here publishes with feedgen", "feedgen init --github writes them.")
        return
    if "refresh" not in found:
        yield error(
            "workflows",
            "Nothing signs the timestamp again: sites will take the feed for stale after 14 days",
            "feedgen init --github",
        )
    if len(set(found.values())) > 1:
        yield warning("workflows", "They name different versions of feedgen", "feedgen init --github --overwrite")
    elif "refresh" in found:
        yield ok("workflows", f"{', '.join(sorted(found))} at {next(iter(found.values()))[:12]}")


def _expiry(state: RepositoryState, now: datetime) -> Iterator[Finding]:
    for role in ("root", "targets", *CHANNELS, *ONLINE):
        expires = state.metadata(role).signed.expires.replace(tzinfo=UTC)
        left = days_left(expires, now)
        where = "root" if role in ("root", "targets") else "online" if role in ONLINE else role
        keys = ", ".join(key_name(key) for key in members(state, where)[0])
        mend = f"Run 'feedgen refresh' where its keys are ({keys}), then 'feedgen site push'."
        if left <= 0:
            yield error("expiry", f"{role} expired on {expires:%Y-%m-%d}: sites take the feed for stale", mend)
        elif due(role, expires, now):
            yield warning("expiry", f"{role} expires on {expires:%Y-%m-%d}, in {left:.0f} days", mend)
        else:
            yield ok("expiry", f"{role}: {expires:%Y-%m-%d}, in {left:.0f} days")


def _keys(state: RepositoryState, ring: KeyRing) -> Iterator[Finding]:
    roots = ring.available(members(state, "root")[0])
    if len(roots) >= members(state, "root")[1]:
        yield warning(
            "keys",
            f"Enough root keys for every change are on this machine ({', '.join(map(key_name, roots))})",
            "Move them to offline media, to different places; they are needed about once a year.",
        )
    else:
        yield ok("keys", "The root keys are kept elsewhere")
    here = [name for role in ROLES if role != "root" for name in map(key_name, ring.available(members(state, role)[0]))]
    yield ok("keys", f"At hand: {', '.join(here) or 'none'}; in CI they are {secret_names()[1]} and the like")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()
