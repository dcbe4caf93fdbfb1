"""``feedgen init``: settings, keys and an empty signed site for an app."""

from __future__ import annotations

import os
from pathlib import Path

import click

from feedgen.cli.console import keys_option, new_passphrase, now, say, site_option, step, success
from feedgen.cli.init_github import GitHubOptions, github_options, set_up_github
from feedgen.config import default_keys_directory, project_folder, template
from feedgen.errors import ConfigError
from feedgen.page.files import page_settings
from feedgen.publish.setup import FirstSite, check_can_start, start
from feedgen.publish.writer import replace_file
from updater.schema import PUBLISHER_CONFIG_NAME, PublisherConfig
from updater.schema.publisher_config import check_base_url
from updater.schema.text import check_name

__all__ = ["init_command"]


@click.command("init")
@click.option("--app", metavar="NAME", help="Name of the app: a-z, 0-9, '.', '_', '-'.")
@click.option("--base-url", metavar="URL", help="Where the site will be served, such as https://acme.github.io/shop/.")
@click.option("--solo", is_flag=True, help="One person: two root keys, either of which is enough (weaker).")
@keys_option
@site_option
@github_options
def init_command(
    app: str | None, base_url: str | None, *, solo: bool, keys: Path | None, site: Path | None, github: GitHubOptions
) -> None:
    """Set an app up: feedgen.toml, encrypted keys, and a signed site without releases.

    Run it in the app's git repository. The passphrase for the keys is asked for, or taken from FEEDGEN_PASSPHRASE.
    With --github it also writes the workflows that publish; for an app that is set up already, it writes only those.
    """
    folder = project_folder(Path.cwd())
    if folder is None:
        raise ConfigError(
            f"{Path.cwd()} is not in a git repository",
            hint="Go to your app's repository; 'git init' makes one. Releases are git tags.",
        )
    path = folder / PUBLISHER_CONFIG_NAME
    text = _existing(path, app, base_url) or _new_text(folder, app, base_url)
    config = PublisherConfig.parse(text, str(path))
    keys = keys or default_keys_directory(config.app, os.environ, config.component)
    site = site or folder / config.site
    if github.wanted and config.root_sha256:
        set_up_github(folder, config, keys, github)
        return
    check_can_start(keys, site, solo=solo)
    made = start(keys, site, new_passphrase(), solo=solo, now=now())
    for write in page_settings(site, config):
        replace_file(site / write.path, write.data)
    _ignore_site(folder, site)
    existed = path.exists()
    if not existed:
        django = (folder / "manage.py").is_file()
        text = template(config.app, config.base_url, django=django, root_sha256=made.fingerprint)
        replace_file(path, text.encode())
    success(f"{config.app} is ready to publish.")
    step(f"{path}{' (kept as it was)' if existed else ''}")
    step(f"{len(made.keys)} encrypted keys in {keys}")
    step(f"an empty, signed site in {site}")
    _next_steps(config, made, keys, path, solo=solo, by_hand=not github.wanted)
    if github.wanted:
        set_up_github(folder, config, keys, github)


def _existing(path: Path, app: str | None, base_url: str | None) -> str:
    """The text of a feedgen.toml that is there already; it must agree with the options."""
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    config = PublisherConfig.parse(text, str(path))
    for option, given, written in (("--app", app, config.app), ("--base-url", _folder_url(base_url), config.base_url)):
        if given is not None and given != written:
            raise ConfigError(
                f"{path} is there already and says {written!r} where {option} says {given!r}",
                hint="Leave the option out to use what the file says, or change the file.",
            )
    return text


def _new_text(folder: Path, app: str | None, base_url: str | None) -> str:
    base_url = _folder_url(base_url)
    if app is None or base_url is None:
        missing = "--app" if app is None else "--base-url"
        raise click.UsageError(
            f"Missing option '{missing}'. Example: feedgen init --app shop --base-url https://acme.github.io/shop/"
        )
    for option, given, check in (("--app", app, check_name), ("--base-url", base_url, check_base_url)):
        try:
            check(given)
        except ValueError as error:
            raise ConfigError(f"{option} {given!r} cannot be used: it {error}") from None
    return template(app, base_url, django=(folder / "manage.py").is_file())


def _folder_url(url: str | None) -> str | None:
    return url if url is None or url.endswith("/") or "?" in url else f"{url}/"


def _ignore_site(folder: Path, site: Path) -> None:
    """Keep the site out of the app's own branch when it lies in ``.feedgen``."""
    private = folder / ".feedgen"
    if site.resolve().is_relative_to(private.resolve()) and not (private / ".gitignore").exists():
        replace_file(private / ".gitignore", b"*\n")


def _next_steps(config: PublisherConfig, made: FirstSite, keys: Path, path: Path, *, solo: bool, by_hand: bool) -> None:
    roots = "root-1 and root-2" if solo else "root-1, root-2 and root-3"
    enough = "either one" if solo else "any two"
    tag = f"{config.tag_prefix}1.0.0"
    steps = [
        f"Back up {keys} and the passphrase, each in two safe places.\n"
        f"     Then move {roots} to different offline media, away from this machine: {enough} of them\n"
        "     can replace every other key. They are needed about once a year, and when a key is lost or stolen.",
        f"Look through {path.name}, then: git add {path.name} && git commit",
        f"Tag a release and publish it:\n     git tag {tag}\n     feedgen publish {tag}",
        f"Upload the site folder so that it is served at {config.base_url}",
        "Tell site owners, in a place other than that site (a README, for example), how to install:\n"
        f"     updater install {config.base_url}stable.json DIR --root-sha256 {made.fingerprint}",
    ]
    if not by_hand:
        del steps[1:4]  # the workflows do that
    if solo:
        say("\nSolo: whoever gets one root key can replace all others. 'feedgen root add-key' adds keys later.")
    say("\nNext steps")
    for number, text in enumerate(steps, start=1):
        say(f"  {number}. {text}")
    say(f"\nRoot fingerprint (SHA-256): {made.fingerprint}")
