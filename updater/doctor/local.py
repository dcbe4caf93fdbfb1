"""Checks of this machine and of the site's own files."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from pathlib import Path

from updater.doctor.facts import Facts, UnknownError
from updater.errors import UpdaterError
from updater.install.journal import Journal, State
from updater.install.kept_code import recovery_hint
from updater.install.preflight import MARGIN, Finding, unwritable
from updater.install.recovery import MAX_ATTEMPTS
from updater.site.lock import process_runs, read_holder

__all__ = [
    "check_disk",
    "check_journal",
    "check_lock",
    "check_packages",
    "check_permissions",
    "check_python",
    "check_site",
]

OLDEST_PYTHON = (3, 11)
_SHOWN = 5
_OURS = {"updater": "tagship", "feedgen": "tagship-feedgen"}


def check_python(facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - the interface of a check
    """Whether this Python is supported."""
    yield judge_python(sys.version_info[:3])


def judge_python(version: tuple[int, ...]) -> Finding:
    """The finding about one version."""
    shown = ".".join(map(str, version))
    if version >= OLDEST_PYTHON:
        return Finding("python", "ok", f"Python {shown} is supported.")
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Finding("python", "error", f"Python {shown} is too old.", f"Use Python {wanted} or newer.")


def check_packages(facts: Facts) -> Iterator[Finding]:
    """Other distributions that install packages of our names, and files of ours that were overwritten."""
    installed = list(facts.probes.distributions())
    names = {_name(distribution) for distribution in installed}
    problems = 0
    for distribution in installed:
        for package, ours in _OURS.items():
            foreign = _name(distribution) != ours and ours in names
            if foreign and any(str(file) == f"{package}/__init__.py" for file in distribution.files or ()):
                problems += 1
                name = distribution.metadata["Name"]
                message = f"{name} also installs a Python package named {package!r}; one overwrites the other's files."
                advice = f"pip uninstall {name}, then pip install --force-reinstall {ours}; or use an environment each."
                yield Finding("packages", "error", message, advice)
        if _name(distribution) in _OURS.values():
            damaged = _overwritten(distribution)
            problems += bool(damaged)
            if damaged:
                name = distribution.metadata["Name"]
                message = f"{len(damaged)} installed files of {name} are not the ones it came with: {_few(damaged)}."
                yield Finding("packages", "error", message, f"pip install --force-reinstall {name}.")
    if not problems:
        yield Finding("packages", "ok", "No other package is in the way.")


def _name(distribution: Distribution) -> str:
    return str(distribution.metadata["Name"] or "").lower().replace("_", "-")


def _overwritten(distribution: Distribution) -> list[str]:
    wrong = []
    for file in distribution.files or ():
        if file.hash is None or file.hash.mode != "sha256" or file.suffix != ".py":
            continue
        path = Path(str(distribution.locate_file(file)))
        try:
            digest = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            wrong.append(str(file))
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            wrong.append(str(file))
    return wrong


def check_site(facts: Facts) -> Iterator[Finding]:
    """What is installed, and whether the record of it can be read."""
    state, manifest = facts.site.state(), facts.site.manifest()
    if state.version is None or manifest is None:
        advice = "Finish the install: `updater install FEED_URL DIR`."
        yield Finding("site", "warning", "nothing is installed here yet.", advice)
    elif manifest.version != state.version:
        message = f"site.json says {state.version} is installed, manifest.json says {manifest.version}."
        yield Finding("site", "error", message, "Run `updater recover`, then `updater verify`.")
    else:
        yield Finding("site", "ok", f"{state.app} {state.version}, {len(manifest.files)} files, {state.layout}.")
    mode = facts.site.directory.stat().st_mode & 0o777
    if mode & 0o077:
        message = f"{facts.site.directory} can be read or changed by other users (mode {mode:04o}): it holds backups."
        yield Finding("site", "warning", message, f"chmod 700 {facts.site.directory}")


def check_lock(facts: Facts) -> Iterator[Finding]:
    """Whether somebody is at work."""
    pid = working_process(facts)
    if pid is None:
        yield Finding("lock", "ok", "No update is running.")
    else:
        message = f"process {pid} is updating this site now."
        yield Finding("lock", "warning", message, "Wait until it has finished; `updater status` shows how far it is.")


def working_process(facts: Facts) -> int | None:
    """The process that holds the lock, judged without touching it: a test must not get in an update's way."""
    holder = read_holder(facts.site.lock_path)
    return holder.pid if holder is not None and process_runs(holder.pid, holder.boot_id) else None


def check_journal(facts: Facts) -> Iterator[Finding]:
    """Whether an interrupted update waits to be finished or undone."""
    records = Journal(facts.site.journal_path).records()
    if not records or records[-1].state is State.ENDED:
        yield Finding("journal", "ok", "No interrupted update.")
    elif working_process(facts) is not None:
        yield Finding("journal", "ok", f"The running update is at {records[-1].state.value!r}.")
    elif sum(record.state is State.UNDOING for record in records) >= MAX_ATTEMPTS:
        message = f"an interrupted update could not be undone in {MAX_ATTEMPTS} attempts."
        yield Finding("journal", "error", message, recovery_hint(facts.site, records[-1].id))
    else:
        message = f"an update was interrupted at {records[-1].state.value!r}."
        yield Finding("journal", "warning", message, "Run `updater recover`; every other command does it as well.")


def check_permissions(facts: Facts) -> Iterator[Finding]:
    """Whether an update could write everywhere it has to, and read what it has to save."""
    site, slots = facts.site, facts.state.layout == "slots"
    manifest = facts.manifest
    listed = list(manifest.files) if manifest is not None else []
    tree, paths = (site.path, ["releases/x"]) if slots else (facts.tree, listed)
    problems = unwritable(tree, site.directory, paths)
    folders = [path for path in sorted(site.directory.rglob("*")) if path.is_dir() and not path.is_symlink()]
    ours = [path for path in (site.directory, *folders) if _is_state_folder(path, site.directory)]
    problems += [f"{path} is not writable for this user" for path in ours if not os.access(path, os.W_OK | os.X_OK)]
    for path in listed:
        file = facts.tree / path
        if file.is_file() and not os.access(file, os.R_OK):
            problems.append(f"{file} cannot be read by this user")
    if problems:
        message = f"{len(problems)} places an update could not use: {_few(problems, '; ')}."
        advice = "Run the updater as the user who owns the site, or correct the owner (chown) or mode of these places."
        yield Finding("permissions", "error", message, advice)
    else:
        yield Finding("permissions", "ok", "Every directory that an update would change is writable.")


def _is_state_folder(path: Path, directory: Path) -> bool:
    """Not the saved files: an update adds restore points, it does not write into old ones."""
    return len(path.relative_to(directory).parts) <= 2


def check_disk(facts: Facts) -> Iterator[Finding]:
    """Room for download, staging and backup of the largest release on offer."""
    manifest = facts.manifest
    tree = manifest.installed_size if manifest is not None else 0
    try:
        package = max((release.package.size for release in facts.fetched.feed.releases[:3]), default=0)
    except UnknownError:
        package = tree
    needed = package + tree + _database_size(facts) + MARGIN
    free = shutil.disk_usage(facts.site.directory).free
    yield judge_space(free, needed)
    room = os.statvfs(facts.site.directory)
    files = 3 * len(manifest.files) if manifest is not None else 0
    if room.f_files and room.f_favail < files:
        message = f"the filesystem has room for {room.f_favail} more files; an update may need {files}."
        yield Finding(
            "disk", "error", message, "Delete files that are no longer needed: inodes are used up, not bytes."
        )


def judge_space(free: int, needed: int) -> Finding:
    """The finding about ``free`` bytes of which an update may need ``needed``."""
    shown = f"{needed / 2**20:.0f} MiB may be needed for download, staging and backup; {free / 2**20:.0f} MiB are free."
    if free >= needed:
        return Finding("disk", "ok", shown)
    advice = "Free some space, or remove old restore points: `updater backup list`, `updater backup delete ID`."
    return Finding("disk", "error", shown, advice)


def _database_size(facts: Facts) -> int:
    from updater.database import open_database

    try:
        return open_database(facts.config.database, facts.tree, facts.environ).estimate() or 0
    except (UpdaterError, UnknownError):
        return 0  # the checks of settings and database tell why


def _few(items: Iterable[str], separator: str = ", ") -> str:
    found = list(items)
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return separator.join([*found[:_SHOWN], *more])
