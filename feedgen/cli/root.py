"""``feedgen root``: whose keys decide, and changing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.table import Table

from feedgen.cli.check import self_check
from feedgen.cli.console import (
    Workspace,
    new_passphrase,
    now,
    say,
    step,
    success,
    table_console,
    with_workspace,
)
from feedgen.errors import ConfigError
from feedgen.keys import KeyRing, key_name, load_public_key, named, write_key
from feedgen.publish.ceremony import Ceremony, Outcome
from feedgen.repository.ceremony import ROLES, Edit, describe, find_key, members, missing
from feedgen.repository.roles import days_left
from feedgen.repository.state import RepositoryState, load
from feedgen.repository.tuf_api import CryptoSigner, Key
from updater.schema.text import check_name
from updater.trust import fingerprint
from updater.trust.names import metadata_file

__all__ = ["root_group"]

_role_option = click.option(
    "--role",
    type=click.Choice(ROLES),
    default="root",
    show_default=True,
    help="Whose keys. online: snapshot, timestamp.",
)
_key_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_public_key_option = click.option("--public-key", type=_key_file, help="PEM file of another person's public key.")
_threshold_option = click.option("--threshold", type=int, metavar="N", help="How many signatures the role needs then.")


@click.group("root")
def root_group() -> None:
    """Show and change the keys that sites trust.

    A change of any key is signed with the root keys: as many as root needs. When they are not all at hand, the change
    waits in the folder 'ceremony' next to the site; hand it to the other holders, who run 'feedgen root sign'.
    """


@root_group.command("show")
@with_workspace
def show_command(work: Workspace) -> None:
    """Print keys, thresholds, expiry and fingerprints."""
    state = load(work.site)
    table = Table(title=f"Keys of {work.config.app}", title_justify="left")
    for heading in ("role", "needs", "keys", "expires"):
        table.add_column(heading)
    for role in ROLES:
        found, threshold = members(state, role)
        names = "\n".join(f"{_label(key)}{' (at hand)' if work.ring.has(key) else ''}" for key in found)
        table.add_row(role, f"{threshold} of {len(found)}", names, _expiries(state, role))
    table_console().print(table)
    first = (work.site / metadata_file("root", 1)).read_bytes()
    say(f"First root (SHA-256):  {fingerprint(first)}")
    say(f"Newest root (SHA-256): {fingerprint(state.root_bytes)}  (version {state.root.signed.version})")
    draft = _ceremony(work).pending(state)
    if draft.parts:
        say("\nA change waits for signatures:")
        _print_lines(describe(state, draft))
        _print_lines(f"missing: {item}" for item in missing(state, draft))


@root_group.command("add-key")
@_role_option
@click.option(
    "--public-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="PEM file of another's key."
)
@click.option("--name", metavar="NAME", help="What the key is called.  [default: the role and a number]")
@_threshold_option
@with_workspace
def add_key_command(
    work: Workspace, role: str, public_key: Path | None, name: str | None, threshold: int | None
) -> None:
    """Add a key to a role: a new one, or that of another person."""
    new = _NewKey(work.ring, role, name, public_key)
    _run(work, lambda state: Edit(role, add=new.make(state), threshold=threshold), new.write)


@root_group.command("remove-key")
@click.argument("key")
@_role_option
@_threshold_option
@with_workspace
def remove_key_command(work: Workspace, key: str, role: str, threshold: int | None) -> None:
    """Take a key away from a role. KEY is its name or the beginning of its id."""
    _run(work, lambda state: Edit(role, remove=find_key(state, role, key).keyid, threshold=threshold))


@root_group.command("rotate")
@click.argument("key", required=False)
@_role_option
@click.option(
    "--public-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="PEM file of another's key."
)
@click.option("--name", metavar="NAME", help="What the new key is called.  [default: the role and a number]")
@with_workspace
def rotate_command(work: Workspace, key: str | None, role: str, public_key: Path | None, name: str | None) -> None:
    """Exchange a key of a role for a new one. KEY may be left out when the role has only one."""
    new = _NewKey(work.ring, role, name, public_key)
    _run(work, lambda state: Edit(role, add=new.make(state), remove=find_key(state, role, key).keyid), new.write)


@root_group.command("sign")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Sign with this key file only."
)
@with_workspace
def sign_command(work: Workspace, key: Path | None) -> None:
    """Sign the change that waits, with every root key at hand or with one; publish it when that completes it."""
    signer = None
    if key is not None:
        signer = CryptoSigner(work.ring.open_key(key.read_bytes(), str(key)))
    _finish(work, _ceremony(work).sign(signer))


@root_group.command("discard")
@with_workspace
def discard_command(work: Workspace) -> None:
    """Drop the change that waits for signatures."""
    dropped = _ceremony(work).discard()
    success("The change was dropped; nothing was published." if dropped else "No change is waiting.")


def _label(key: Key) -> str:
    """A key for people: its name and the start of its id."""
    return f"{key_name(key)} {key.keyid[:8]}"


def _ceremony(work: Workspace) -> Ceremony:
    return Ceremony(work.site, work.ring, now=now(), grace=work.grace)


def _run(work: Workspace, edit: Callable[[RepositoryState], Edit], accepted: Callable[[], None] = lambda: None) -> None:
    _finish(work, _ceremony(work).change(edit, accepted=accepted))


def _finish(work: Workspace, outcome: Outcome) -> None:
    _print_lines(outcome.changes)
    if outcome.committed is None:
        say("\nThe change is not published yet. Signatures that are missing:")
        _print_lines(str(item) for item in outcome.missing)
        say(
            f"\nHand the files in {_ceremony(work).folder} to a holder of one of these keys, who puts them into the"
            " same folder of a copy of this project with its site, runs 'feedgen root sign --key FILE', and hands them"
            " back. Then run 'feedgen root sign' here."
        )
        return
    self_check(work.config, work.site)
    success(f"The change is published. Now upload {work.site}.")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        step(line)


def _expiries(state: RepositoryState, role: str) -> str:
    names = {"root": ("root", "targets"), "online": ("snapshot", "timestamp")}.get(role, (role,))
    lines = []
    for name in names:
        expires = state.metadata(name).signed.expires
        left = days_left(expires, now().replace(tzinfo=expires.tzinfo))
        lines.append(f"{name} {expires:%Y-%m-%d} ({left:.0f} days)")
    return "\n".join(lines)


class _NewKey:
    """The key to add: another person's public one, or a new one whose file is written once the edit is accepted."""

    def __init__(self, ring: KeyRing, role: str, name: str | None, public_key: Path | None) -> None:
        self._ring, self._role, self._name, self._public_key = ring, role, name, public_key
        self._private: Ed25519PrivateKey | None = None

    def make(self, state: RepositoryState) -> Key:
        """The key under a name that is free. Raises ``ConfigError``."""
        used = _used_names(state)
        self._name = self._name or _free_name(self._role, used, self._ring.directory)
        try:
            check_name(self._name)
        except ValueError as error:
            raise ConfigError(f"{self._name!r} cannot name a key: it {error}") from error
        if self._name in used:
            raise ConfigError(f"There is a key called {self._name!r} already", hint="Choose another --name.")
        if self._public_key is not None:
            return named(load_public_key(self._public_key), self._name)
        self._private = Ed25519PrivateKey.generate()
        return named(self._private.public_key(), self._name)

    def write(self) -> None:
        """Put the file of a new key in place."""
        if self._private is not None and self._name is not None:
            path = write_key(self._ring.directory, self._name, self._private, new_passphrase())
            step(f"New key: {path}. Back it up; if CI signs with the old one, replace the secret there.")


def _used_names(state: RepositoryState) -> set[str]:
    """Names of all keys that are, or as a root's were, trusted: a second key of the same name would confuse people."""
    former = {key_name(key) for root in state.roots for key in root.signed.keys.values()}
    return former | {key_name(key) for role in ROLES for key in members(state, role)[0]}


def _free_name(role: str, used: set[str], directory: Path) -> str:
    """The role with the number after the highest one; a key without a number counts as the first."""
    names = used | {path.stem for path in directory.glob(f"{role}*.pem")}
    numbers = [int(name.removeprefix(f"{role}-")) for name in names if re.fullmatch(rf"{role}-[0-9]{{1,6}}", name)]
    return f"{role}-{max([*numbers, 1]) + 1}"
