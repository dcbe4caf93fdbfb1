"""Checks of what an update looks at before it fetches anything: whose files are these, and are they in order?"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from updater.beforehand import ask_app, keeper_of
from updater.doctor.facts import Facts
from updater.install.environment import plan_environment
from updater.install.managed import keeper_finding
from updater.install.observe import observe
from updater.install.preflight import Finding
from updater.install.running import judge_running
from updater.requirements import check_packages
from updater.schema.globs import matches_any

__all__ = ["check_files", "check_managed", "check_requirements", "check_running"]

_SHOWN = 5


def check_managed(facts: Facts) -> Iterator[Finding]:
    """Whether git, a container image or a package manager keeps the files."""
    yield keeper_finding(keeper_of(facts.site, facts.state, facts.environ), facts.config.managed)


def check_running(facts: Facts) -> Iterator[Finding]:
    """Whether the version that runs is the one that is installed."""
    health = facts.config.health
    yield judge_running(facts.state.version, facts.probes.ask_app(health), health, facts.config.running)


def check_files(facts: Facts) -> Iterator[Finding]:
    """Whether the files of the installed release are there and unchanged."""
    manifest = facts.manifest
    if manifest is None:
        yield Finding("files", "ok", "Nothing is installed yet.")
        return
    shared = facts.site.shared if facts.state.layout == "slots" else None
    listed = [path for path in manifest.files if not matches_any(path, manifest.preserve)]
    seen = observe(facts.tree, listed, shared=shared)
    missing = [path for path in listed if path not in seen]
    changed = [path for path in listed if path in seen and not seen[path].matches(manifest.files[path])]
    if missing:
        message = f"of the installed release, {_count(missing)} missing: {_few(missing)}."
        yield Finding("files", "warning", message, "An update brings them back, if the new release has them.")
    if changed:
        message = f"of the installed release, {_count(changed)} changed on this site: {_few(changed)}."
        advice = "An update does with them what [policy] edited says; `updater verify` lists all."
        yield Finding("files", "warning", message, advice)
    if not missing and not changed:
        yield Finding("files", "ok", f"All {len(listed)} files are as they were installed.")


def check_requirements(facts: Facts) -> Iterator[Finding]:
    """What the newest release requires of the app's Python, against what that has; or whether updates install it."""
    link = facts.config.python.environment
    if link:
        plan_environment(facts.site, facts.manifest, facts.environ)  # raises what an update would be refused for
        yield Finding("requirements", "ok", f"Updates install the app's packages themselves, behind {link}.")
        return
    feed, installed = facts.fetched.feed, facts.state.version
    newer = [r for r in feed.releases if installed is None or Version(r.version) > Version(installed)]
    if not newer or not newer[0].requires.packages:
        yield Finding("requirements", "ok", "No newer release requires packages.")
        return
    release = newer[0]
    app = ask_app(facts.site, facts.state, feed, facts.environ)
    rows = check_packages(release.requires.packages, app)
    unmet = [row for row in rows if row.ok is False]
    if unmet:
        python = " ".join(app.command) if app is not None else "python"
        wanted = " ".join(f"'{row.required}'" for row in unmet)
        message = f"{release.version} {'; '.join(row.problem for row in unmet)}."
        yield Finding("requirements", "warning", message, f"Install it first: {python} -m pip install {wanted}")
    elif any(row.ok is None for row in rows):
        message = f"{release.version} needs {', '.join(row.required for row in rows)}; what the app has is not known."
        yield Finding("requirements", "warning", message, "Name the app's Python in [commands] runner of updater.toml.")
    else:
        found = ", ".join(f"{row.required} (found {row.found})" for row in rows) or "nothing of this Python"
        yield Finding("requirements", "ok", f"{release.version} needs {found}.")


def _count(paths: list[str]) -> str:
    return "1 file is" if len(paths) == 1 else f"{len(paths)} files are"


def _few(paths: list[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
