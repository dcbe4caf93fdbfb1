"""``feedgen page``: the public page of a site, rendered anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import click

from feedgen.cli.console import Workspace, say, success, warn, with_workspace
from feedgen.errors import ConfigError
from feedgen.page.files import foreign_index, page_files, read_settings
from feedgen.page.settings import PAGE_FILE, PageSettings
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.compose import Write
from feedgen.repository.state import load
from updater.errors import SchemaError

__all__ = ["page_command"]


@click.command("page")
@click.option("--name", help="What people call the app.  [default: its name in feedgen.toml]")
@click.option("--description", help="One sentence about the app.")
@click.option("--homepage", metavar="URL", help="Its website.")
@click.option("--security-contact", metavar="URL", help="mailto: or https: address for .well-known/security.txt.")
@click.option("--on/--off", "enabled", default=None, help="Write pages with every change, or write none.")
@click.option("--preview", type=click.IntRange(0, 65535), metavar="PORT", help="Serve the site on this machine only.")
@with_workspace
def page_command(  # noqa: PLR0917 - click passes them by name
    work: Workspace,
    name: str | None,
    description: str | None,
    homepage: str | None,
    security_contact: str | None,
    enabled: bool | None,
    preview: int | None,
) -> None:
    """Write the public page of the site, every file of it.

    Each publish and refresh keeps the page up to date by itself. Options are remembered in page.json in the site; an
    empty value ("") takes one back.
    """
    given = {
        "name": name,
        "description": description,
        "homepage": homepage,
        "security_contact": security_contact,
        "enabled": enabled,
    }
    with site_lock(work.site):
        state = load(work.site)
        old = read_settings(work.site) or PageSettings(work.config.base_url)
        chosen = {key: value for key, value in given.items() if value is not None}
        settings = _checked(replace(old, base_url=work.config.base_url, **chosen))  # type: ignore[arg-type]
        writer = SiteWriter(work.site)
        written = writer.put([Write(PAGE_FILE, settings.to_bytes())] if settings != old or not _is_there(work) else [])
        written += writer.put(page_files(work.site, state, all_of_them=True))
    _show(work, settings, written, released=bool(state.feeds))
    if preview is not None:
        _serve(work, preview)


def _is_there(work: Workspace) -> bool:
    return (work.site / PAGE_FILE).is_file()


def _checked(settings: PageSettings) -> PageSettings:
    try:
        return PageSettings.parse(settings.to_bytes())
    except SchemaError as error:
        problems = "; ".join(f"{problem.path.removeprefix('$.')} {problem.message}" for problem in error.problems)
        raise ConfigError(f"The page cannot have that: {problems}", hint="Nothing was written.") from error


def _show(work: Workspace, settings: PageSettings, written: list[str], *, released: bool) -> None:
    if not settings.enabled:
        success("No pages are written from now on; those that are there stay until you remove them.")
    elif foreign_index(work.site):
        warn(
            f"{work.site / 'index.html'} is not one of feedgen's pages, so it is left alone and no page was written."
            " Remove it if the public page shall take its place."
        )
    elif not released:
        say("The page comes with the first release.")
    elif written:
        success(f"{len(written)} file{'s' if len(written) != 1 else ''} written. Now upload {work.site}.")
    else:
        success("The page is up to date; nothing changed.")


def _serve(work: Workspace, port: int) -> None:
    """Until Ctrl-C; only this machine can connect."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(work.site))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        say(f"http://127.0.0.1:{server.server_port}/ until you press Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")
