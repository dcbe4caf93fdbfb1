"""Checks of updater.toml against what is really there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from updater.doctor.facts import Facts
from updater.install.preflight import Finding
from updater.process import plan_commands

__all__ = ["check_commands", "check_database", "check_health", "check_restart", "check_settings"]


def check_settings(facts: Facts) -> Iterator[Finding]:
    """Whether updater.toml can be read at all, and names a feed."""
    config = facts.site.config()
    from updater.trust import FeedLocation

    FeedLocation.parse(config.feed_url)
    yield Finding("settings", "ok", f"{facts.site.config_path} is well-formed.")
    for key, origin in sorted(config.overridden.items()):
        yield Finding("settings", "ok", f"{key} is decided by {origin}.")


def check_commands(facts: Facts) -> Iterator[Finding]:
    """Whether the installed release's commands would run, and their runner exists."""
    config = facts.config.commands
    manifest = facts.manifest
    planned = plan_commands(manifest.post_update_commands if manifest else (), config)
    refused = [command for command in planned if command.refusal]
    for command in refused:
        word = (command.command.split() or [""])[0]
        advice = f"If you trust it, add {word!r} to [commands] allow in updater.toml."
        message = f"the installed release wants `{command.command}`, which will not run: {command.refusal}."
        yield Finding("commands", "warning", message, advice)
    programs = {command.argv[0]: command.argv for command in planned if command.argv}
    if config.runner:
        programs.setdefault(config.runner[0], config.runner)
    path = config.env.get("PATH", facts.environ.get("PATH"))
    missing = [argv for argv in programs.values() if not _runs(argv, facts.tree, path)]
    for argv in missing:
        yield _not_found("commands", argv, "[commands] runner", facts.tree)
    if not refused and not missing:
        yield Finding(
            "commands", "ok", f"{len(planned)} of {len(planned)} commands of the installed release would run."
        )


def check_restart(facts: Facts) -> Iterator[Finding]:
    """Whether the app can be stopped and started as configured."""
    restart, path = facts.config.restart, facts.environ.get("PATH")
    found = []
    for key, argv in (("stop", restart.stop), ("command", restart.command)):
        if argv and not _runs(argv, facts.site.path, path):
            found.append(_not_found("restart", argv, f"[restart] {key}", facts.site.path))
    if restart.touch and not (facts.site.path / restart.touch).parent.is_dir():
        message = f"[restart] touch names {restart.touch}, whose folder does not exist."
        found.append(Finding("restart", "error", message, "Correct the path; it is relative to the site."))
    if restart.pidfile and not (facts.site.path / restart.pidfile).is_file():
        message = f"[restart] pidfile: {restart.pidfile} does not exist; is the app running?"
        found.append(Finding("restart", "warning", message, "Start the app, or correct the path."))
    yield from found
    if not found:
        configured = bool(restart.stop or restart.command or restart.touch or restart.signal)
        yield Finding("restart", "ok", "As configured." if configured else "None is configured.")


def check_health(facts: Facts) -> Iterator[Finding]:
    """Whether the probe of the app's health can work."""
    health = facts.config.health
    found = []
    if not health.url and not health.command:
        message = "none is configured: an update that breaks the app will not be noticed and undone."
        found.append(Finding("health", "warning", message, "Set [health] url or command in updater.toml."))
    if health.url:
        found += _unreachable_host(facts, health.url)
    if health.command and not _runs(health.command, facts.tree, facts.environ.get("PATH")):
        found.append(_not_found("health", health.command, "[health] command", facts.tree))
    yield from found
    if not found:
        yield Finding("health", "ok", f"Probed at {health.url}." if health.url else "Probed by a command.")


def _unreachable_host(facts: Facts, url: str) -> list[Finding]:
    advice = "It should be this machine's own address of the app, such as http://127.0.0.1:8000/health/."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = None, 0
    if not host:
        return [Finding("health", "error", f"[health] url = {url!r} names no host.", advice)]
    try:
        facts.probes.resolve(host, port)
    except OSError as error:
        return [Finding("health", "error", f"the host of [health] url, {host}, is not found: {error}.", advice)]
    return []


def check_database(facts: Facts) -> Iterator[Finding]:
    """Whether a backup could be made now."""
    from updater.database import open_database

    database = open_database(facts.config.database, facts.tree, facts.environ)
    if database.kind == "none":
        message = "none is configured: updates do not back up the app's data."
        yield Finding("database", "warning", message, "If the app has a database, set [database] in updater.toml.")
        return
    reason = database.available()
    if reason is None:
        yield Finding("database", "ok", f"A backup of the {database.kind} database can be made.")
    else:
        advice = "Install what is missing, or correct [database] in updater.toml; without a backup no update starts."
        yield Finding("database", "error", f"no backup can be made: {reason.rstrip('.')}.", advice)


def _runs(argv: Sequence[str], cwd: Path, path: str | None) -> bool:
    """Whether the program can be started from ``cwd``."""
    if "/" in argv[0]:
        program = cwd / argv[0]
        return program.is_file() and os.access(program, os.X_OK)
    return shutil.which(argv[0], path=path) is not None


def _not_found(check: str, argv: Sequence[str], key: str, cwd: Path) -> Finding:
    where = f"in {cwd}" if "/" in argv[0] else "on PATH"
    advice = f"Install it, or give its whole path in {key} of updater.toml; cron and systemd have a short PATH."
    return Finding(check, "error", f"the program {argv[0]!r} is not found {where}.", advice)
