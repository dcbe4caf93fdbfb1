"""``feedgen license``: paid apps. Licences are signed here, offline, and judged by each site; no server is needed."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.table import Table

from feedgen.cli.console import Workspace, new_passphrase, now, say, step, success, table_console, warn, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, show
from feedgen.errors import ConfigError, KeyNotFoundError
from feedgen.keys import write_key
from feedgen.operations.licensing import (
    FOLDER,
    GRACE_DAYS,
    KEY_NAME,
    Register,
    free,
    issue,
    public_key,
    require,
    revoke,
)
from updater.schema.licenses import License, Licensing
from updater.schema.text import CHANNELS

__all__ = ["license_group"]

_WHAT = "who may have the releases"


@click.group("license")
def license_group() -> None:
    """Let only sites with a licence have releases, and issue licences. They are signed offline; no server is needed."""


@license_group.command("require")
@click.option(
    "--grace",
    "grace_days",
    type=click.IntRange(0, 3650),
    metavar="DAYS",
    help=f"So long after its end a licence still counts.  [default: as it is, or {GRACE_DAYS}]",
)
@click.option("--message", metavar="TEXT", help="Where to get one, in a line that sites show.  [default: as it is]")
@click.option("--off", is_flag=True, help="Let everybody have the releases again.")
@dry_run_option
@with_workspace
def require_command(work: Workspace, grace_days: int | None, message: str | None, off: bool, dry_run: bool) -> None:
    """Let only sites with a licence have releases from now on. What they have installed stays.

    The key for licences, license.pem, is made when there is none. Releases that are published within --grace days after
    a licence has ended are still covered by it.
    """
    if off:
        result = operator_of(work).edit_feeds(free, _WHAT, dry_run=dry_run)
        show(work, result, dry_run=dry_run, done="Everybody may have the releases", nothing="Everybody may have them")
        return
    edit = require(
        public_key(_key_for(work, dry_run=dry_run)),
        grace_days=grace_days,
        message=message,
        revoked=_register(work).revoked(),
    )
    result = operator_of(work).edit_feeds(edit, _WHAT, dry_run=dry_run)
    done = "Only sites with a licence may have releases"
    show(work, result, dry_run=dry_run, done=done, nothing=done)


@license_group.command("issue")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--holder", required=True, metavar="NAME", help="Whom it is for.")
@click.option("--until", metavar="YYYY-MM-DD", help="It covers what is published until then.  [default: for ever]")
@click.option("--channel", "channels", multiple=True, type=click.Choice(CHANNELS), help="Only this; repeatable.")
@click.option("--component", "components", multiple=True, metavar="NAME", help="Only this; repeatable.")
@click.option("--id", "name", metavar="ID", help="What it is called.  [default: the next number of the year]")
@with_workspace
def issue_command(  # noqa: PLR0917 - click passes them by name
    work: Workspace,
    file: Path,
    holder: str,
    until: str | None,
    channels: tuple[str, ...],
    components: tuple[str, ...],
    name: str | None,
) -> None:
    """Sign a licence into FILE, for the customer. A copy is kept beside the keys."""
    if file.exists():
        raise ConfigError(f"{file} exists already", hint="Name a new file; licences are never overwritten.")
    register, moment = _register(work), now()
    found = License(
        id=name or register.next_id(moment.year),
        app=work.config.app,
        holder=holder,
        issued=moment,
        updates_until=None if until is None else _day(until),
        channels=channels,
        components=components,
    )
    sealed = issue(found, work.ring.private_key(KEY_NAME))
    register.add(found, sealed)
    file.write_bytes(sealed.to_bytes())
    success(f"{found.id} is issued to {holder}: {file}")
    say(f"The customer keeps it with `updater license {file.name}`, or installs with `--license {file.name}`.")
    licensing = _licensing(work)
    if licensing is None:
        warn("The feeds ask for no licence yet: 'feedgen license require'.")


@license_group.command("revoke")
@click.argument("name", metavar="ID")
@click.option("--again", is_flag=True, help="Let it count again.")
@dry_run_option
@with_workspace
def revoke_command(work: Workspace, name: str, again: bool, dry_run: bool) -> None:
    """Let the licence ID count no more, for releases to come: the feeds say so. What is installed stays."""
    known = {found.id for found in _register(work).all()[0]}
    if known and name not in known:
        raise ConfigError(f"No licence {name} was issued", hint="See 'feedgen license list'.")
    result = operator_of(work).edit_feeds(revoke(name, again=again), _WHAT, dry_run=dry_run)
    if not dry_run:
        _register(work).note(name, revoked=not again)
    done = f"{name} counts again" if again else f"{name} counts no more"
    show(work, result, dry_run=dry_run, done=done, nothing=done)


@license_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_workspace
def list_command(work: Workspace, as_json: bool) -> None:
    """Print the licences that were issued with these keys, and which of them count no more."""
    found, others = _register(work).all()
    licensing = _licensing(work)
    revoked = () if licensing is None else licensing.revoked
    for other in others:
        warn(f"{other} is no licence; it is passed over")
    if as_json:
        rows = [{**json.loads(item.to_bytes()), "revoked": item.id in revoked} for item in found]
        click.echo(json.dumps({"app": work.config.app, "needed": licensing is not None, "licenses": rows}, indent=2))
        return
    if licensing is None:
        say("The feeds ask for no licence: everybody may have the releases.")
    if not found:
        say("No licence was issued yet.")
        return
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("", "holder", "issued", "covers until", "channels", "components", ""):
        table.add_column(heading)
    for item in found:
        until = "for ever" if item.updates_until is None else f"{item.updates_until:%Y-%m-%d}"
        scope = (", ".join(item.channels) or "all", ", ".join(item.components) or "all")
        state = "revoked" if item.id in revoked else ""
        table.add_row(item.id, item.holder, f"{item.issued:%Y-%m-%d}", until, *scope, state)
    table_console().print(table)


def _key_for(work: Workspace, *, dry_run: bool) -> Ed25519PrivateKey:
    """The key for licences, made when there is none; in a dry run it is not kept."""
    with suppress(KeyNotFoundError):
        return work.ring.private_key(KEY_NAME)
    private = Ed25519PrivateKey.generate()
    if dry_run:
        step(f"Would make the key for licences, {work.ring.directory / KEY_NAME}.pem")
    else:
        path = write_key(work.ring.directory, KEY_NAME, private, new_passphrase())
        step(f"Made the key for licences, {path}: keep a copy where the others are kept")
    return private


def _register(work: Workspace) -> Register:
    return Register(work.ring.directory / FOLDER)


def _licensing(work: Workspace) -> Licensing | None:
    feeds = operator_of(work).published()[0]
    return next((feed.licensing for feed in feeds.values()), None)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{text!r} is not a day", hint="Write it as 2027-01-31.") from None
