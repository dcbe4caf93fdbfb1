"""``updater schedule``: print, install or remove what lets a site look for updates by itself."""

from __future__ import annotations

import argparse
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_site
from updater.cli.parser import Verbs
from updater.errors import CommandError, ConfigError
from updater.process import run
from updater.schedule import Job, cron_lines, replace_block, units
from updater.site.files import write_atomic

__all__ = ["add_verbs"]

_TEXT = """\
Print lines for cron, or units for systemd, that run `updater update --auto` at a time of this site's own, and
`updater recover` when the machine starts. What installs itself, and when, is decided by [policy] of updater.toml.

--install puts them in place (a crontab of the site's user; /etc/systemd/system for root, the user's own manager
otherwise) and --remove takes them away again; both can be repeated.
"""
SYSTEM_UNITS = Path("/etc/systemd/system")


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("schedule", _schedule, "look for updates by itself: cron lines, systemd units", _TEXT)
    kind = verb.add_mutually_exclusive_group()
    kind.add_argument("--cron", action="store_true", help="lines for a crontab (the default)")
    kind.add_argument("--systemd", action="store_true", help="units for systemd")
    verb.add_argument("--every", choices=("hourly", "daily"), default="daily", help="how often (default: daily)")
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--install", action="store_true", help="put them in place")
    what.add_argument("--remove", action="store_true", help="take them away")


def _schedule(args: argparse.Namespace, console: Console) -> Exit:
    site = open_site(args)
    state, owner = site.state(), pwd.getpwuid(site.directory.stat().st_uid).pw_name
    system = args.systemd and os.geteuid() == 0
    job = Job(
        command=(sys.executable, "-m", "updater"),
        site=site.path,
        app=state.app,
        id=state.site_id,
        policy=site.config().policy,
        user=owner if system else "",
    )
    if args.install or args.remove:
        if args.systemd:
            _change_units(job, args, console)
        else:
            _change_crontab(job, args, console, owner)
        if args.install and job.policy.auto_install == "none":
            console.warn("[policy] auto_install of updater.toml is none: it will look, and install nothing by itself.")
    elif args.systemd:
        for name, text in units(job, args.every).items():
            console.show(f"# {name}\n{text}")
    else:
        console.show(cron_lines(job, args.every).rstrip())
    return Exit.DONE


def _change_crontab(job: Job, args: argparse.Namespace, console: Console, owner: str) -> None:
    """Only a crontab that was read is written: anything else would lose what stands in it."""
    whose = () if owner == pwd.getpwuid(os.geteuid()).pw_name else ("-u", owner)
    listed = _crontab([*whose, "-l"])
    if listed.returncode and "no crontab" not in listed.stderr:
        raise CommandError(f"the crontab of {owner} cannot be read: {listed.stderr.strip()}")
    before = "" if listed.returncode else listed.stdout
    block = cron_lines(job, args.every) if args.install else ""
    after = replace_block(before, job.site, block)
    if after == before:
        console.say(f"The crontab of {owner} has nothing to change.")
        return
    written = _crontab([*whose, "-"], after)
    if written.returncode:
        raise CommandError(f"the crontab of {owner} was not changed: {written.stderr.strip()}")
    console.say(f"The crontab of {owner} {'looks' if args.install else 'no longer looks'} for updates of {job.site}.")


def _crontab(words: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Byte for byte: what stands in it besides is somebody's."""
    try:
        return subprocess.run(["crontab", *words], input=text, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise ConfigError("There is no program `crontab` here.", hint="Install cron, or use --systemd.") from None


def _change_units(job: Job, args: argparse.Namespace, console: Console) -> None:
    folder = SYSTEM_UNITS if job.user else Path.home() / ".config" / "systemd" / "user"
    manager = ("systemctl",) if job.user else ("systemctl", "--user")
    wanted = units(job, args.every) if args.install else {}
    known = [f"{job.name}{end}" for end in (".timer", ".path", "-recover.service", ".service")]
    gone = [name for name in known if name not in wanted and (folder / name).exists()]
    if gone:
        _manage(manager, "disable", "--now", *gone)
    for name in gone:
        (folder / name).unlink()
        console.say(f"Removed {folder / name}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        write_atomic(folder / name, text.encode(), mode=0o644)
        console.say(f"Wrote {folder / name}")
    _manage(manager, "daemon-reload")
    if wanted:
        begin = [name for name in wanted if name.endswith((".timer", ".path"))]
        _manage(manager, "enable", f"{job.name}-recover.service")
        _manage(manager, "enable", "--now", *begin)


def _manage(manager: Sequence[str], *words: str) -> None:
    try:
        run([*manager, *words], timeout=120).check()
    except CommandError as error:
        raise ConfigError(
            f"systemd does not do it: {error}",
            hint="Without systemd use --cron; the units that were written stay where they are.",
        ) from error
