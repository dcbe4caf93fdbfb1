"""What is looked at before a release is fetched: is the site ours to update, and in order? Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from updater.frozen import frozen
from updater.install.managed import Keeper, SiteFacts, find_keeper, keeper_finding, refuse_kept
from updater.install.preflight import Finding
from updater.install.running import ask_running, judge_running, refuse_other_version
from updater.process.interpreter import Interpreter, ask_interpreter
from updater.requirements import PackageCheck, check_packages, package_names
from updater.schema.feed import Feed, Release
from updater.site import Site, SiteState

__all__ = ["Beforehand", "ask_app", "keeper_of", "look"]


@frozen
class Beforehand:
    """What was found: ``warnings`` are whole sentences, ``packages`` a row for each required package."""

    warnings: tuple[str, ...]
    packages: tuple[PackageCheck, ...]


def look(
    site: Site, state: SiteState, release: Release, app: Interpreter | None, environ: Mapping[str, str]
) -> Beforehand:
    """Look at the site before ``release`` is fetched. Raises BlockedError for what the owner's policy refuses."""
    config = site.config()
    packages = check_packages(release.requires.packages, app)
    findings: list[Finding] = []
    if state.version is not None:
        keeper = keeper_of(site, state, environ, release)
        refuse_kept(keeper, config.managed)
        findings.append(keeper_finding(keeper, config.managed))
        running = judge_running(state.version, ask_running(config.health), config.health, config.running)
        refuse_other_version(running)
        findings.append(running)
    unknown = [row.required for row in packages if row.ok is None]
    if unknown:
        findings.append(_unknown(release.version, unknown))
    told = tuple(f"{f.message[0].upper()}{f.message[1:]} {f.advice}" for f in findings if f.level != "ok")
    return Beforehand(told, packages)


def keeper_of(
    site: Site, state: SiteState, environ: Mapping[str, str], release: Release | None = None
) -> Keeper | None:
    """Who else keeps the installed release's files. Raises StateError."""
    manifest = site.manifest()
    if manifest is None:
        return None
    return find_keeper(
        SiteFacts(
            tree=site.tree(state.layout),
            paths=tuple(manifest.files),
            app=state.app,
            written=site.manifest_path.stat().st_mtime,
            version=release.version if release else "",
            image=(release.container or "") if release else "",
            environ=environ,
        )
    )


def ask_app(site: Site, state: SiteState, feed: Feed, environ: Mapping[str, str]) -> Interpreter | None:
    """What the app's own Python is and has, when a release of the feed requires something of it; None otherwise, and
    when it cannot be asked."""
    required = [release.requires for release in feed.releases]
    if state.version is None or not any(requires.packages or requires.python for requires in required):
        return None
    commands = site.config().commands
    names = package_names(text for requires in required for text in requires.packages)
    return ask_interpreter(commands.runner, names, cwd=site.tree(state.layout), env={**environ, **commands.env})


def _unknown(version: str, required: Iterable[str]) -> Finding:
    message = f"{version} needs {', '.join(required)}; whether the app has it cannot be told."
    return Finding("requirements", "warning", message, "Name the app's Python in [commands] runner of updater.toml.")
