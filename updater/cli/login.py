"""``updater login`` and ``logout``: what a private feed's servers are told."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.credentials import CREDENTIALS_NAME, Credential, check_host, read_credentials, write_credentials
from updater.errors import ConfigError
from updater.site import SiteLock

__all__ = ["add_verbs"]

_TEXT = """\
Keep a token, a password or a key for one host, in a file of the site that nobody else may read. It is asked for, or
read from the first line of standard input. It is sent to that host alone, never to where that redirects.

Without a host, the hosts are listed. UPDATER_TOKEN_<HOST> in the environment is a token that is kept nowhere, such as
UPDATER_TOKEN_DOWNLOADS_ACME_EXAMPLE; a first install needs it.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verbs."""
    login = add("login", _login, "keep a token or password for the server of a private feed", _TEXT)
    login.add_argument("host", nargs="?", metavar="HOST", help="such as downloads.acme.example, or with :PORT")
    kind = login.add_mutually_exclusive_group()
    kind.add_argument("--user", default="", metavar="NAME", help="a password for this user, instead of a bearer token")
    kind.add_argument("--header", default="", metavar="NAME", help="the value of this header, such as X-API-Key")
    logout = add("logout", _logout, "forget what `login` kept for a host")
    logout.add_argument("host", metavar="HOST", help="as it was given to `login`")


def _login(args: argparse.Namespace, console: Console) -> Exit:
    directory = open_updater(args, console).site.directory
    kept = read_credentials(directory, {})
    if args.host is None:
        for host, credential in sorted(kept.hosts.items()):
            console.show(f"{host}  {credential.kind}")
        return Exit.DONE
    try:
        host = check_host(args.host)
        credential = Credential(_secret(console, host), user=args.user, header=args.header)
    except ValueError as error:
        raise ConfigError(f"This cannot be kept: {error}.", hint="See `updater login --help`.") from None
    with SiteLock(directory / "lock"):
        write_credentials(directory, {**kept.hosts, host: credential})
    console.show(f"Kept a {credential.kind} for {host} in {directory / CREDENTIALS_NAME}.")
    return Exit.DONE


def _logout(args: argparse.Namespace, console: Console) -> Exit:
    directory = open_updater(args, console).site.directory
    hosts = dict(read_credentials(directory, {}).hosts)
    if hosts.pop(args.host.lower(), None) is None:
        known = ", ".join(sorted(hosts)) or "none"
        raise ConfigError(f"Nothing is kept for {args.host}.", hint=f"Hosts that are known: {known}.")
    with SiteLock(directory / "lock"):
        write_credentials(directory, hosts)
    console.show(f"Forgot what was kept for {args.host.lower()}.")
    return Exit.DONE


def _secret(console: Console, host: str) -> str:
    if console.interactive:
        return getpass.getpass(f"Secret for {host} (it is not shown): ")
    return os.fsdecode(sys.stdin.buffer.readline(1 << 16)).rstrip("\r\n")
