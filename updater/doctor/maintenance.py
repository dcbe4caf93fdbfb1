"""Checks of the maintenance page: could it be turned on, and is it on for no reason?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from updater.doctor.facts import Facts
from updater.doctor.local import working_process
from updater.install.preflight import Finding
from updater.install.recovery import pending

__all__ = ["check_maintenance"]


def check_maintenance(facts: Facts) -> Iterator[Finding]:
    """The flag's place, who may read it there, and a flag that was left."""
    config = facts.config.maintenance
    if not config.file:
        yield Finding("maintenance", "ok", "No page is configured ([maintenance] in updater.toml).")
        return
    path = facts.site.path / config.file
    found = []
    if facts.manifest is not None and config.file in facts.manifest.files:
        message = f"[maintenance] file names {config.file}, which is a file of the installed release."
        found.append(Finding("maintenance", "error", message, "Name another file in updater.toml."))
    if not path.parent.is_dir():
        message = f"the folder of [maintenance] file, {path.parent}, does not exist."
        found.append(Finding("maintenance", "error", message, "Make it, or correct the path; it starts at the site."))
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        message = f"{path.parent} is not writable for this user: the page cannot be turned on."
        found.append(Finding("maintenance", "error", message, "Run the updater as the user who owns it."))
    elif not stat.S_IMODE(path.parent.stat().st_mode) & 0o001:
        message = f"other users, such as the web server's, may not look into {path.parent}."
        advice = f"If the web server or the app runs as another user: chmod o+x {path.parent}"
        found.append(Finding("maintenance", "warning", message, advice))
    if path.exists() and pending(facts.site) is None and working_process(facts) is None:
        message = f"{path} turns the page on, and no update is at work."
        found.append(Finding("maintenance", "warning", message, f"Run `updater recover`, or remove {path}."))
    yield from found
    if not found:
        yield Finding("maintenance", "ok", f"The page is turned on by {config.file} for {config.minutes:g} minutes.")
