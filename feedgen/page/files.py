"""The pages of a site folder: what they are made from is read there, and what changed is what has to be written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from feedgen.page.adoption import ADOPTION_FILE, read_history
from feedgen.page.listing import RENDERED_FILE, Rendered
from feedgen.page.model import Material
from feedgen.page.render import GENERATOR, render
from feedgen.page.settings import PAGE_FILE, PageSettings
from feedgen.page.trust import gather
from feedgen.publish.catalog import Catalog
from feedgen.repository.compose import Write
from feedgen.repository.state import RepositoryState
from updater.schema import Feed, PublisherConfig
from updater.trust.names import metadata_file

__all__ = ["foreign_index", "page_files", "page_settings", "read_settings"]

MINISIGN_FILE = "minisign.pub"
_INDEX = "index.html"
_HEAD = 1024  # bytes in which a page of ours says so


def read_settings(site: Path) -> PageSettings | None:
    """The site's ``page.json``; None when the site has none (``feedgen page`` makes it). Raises ``SchemaError``."""
    path = site / PAGE_FILE
    return PageSettings.parse(path.read_bytes()) if path.is_file() else None


def page_settings(site: Path, config: PublisherConfig) -> list[Write]:
    """The ``page.json`` that ``feedgen init`` writes: the first one, or with the address that the site has now."""
    settings = read_settings(site)
    if settings is not None and settings.base_url == config.base_url:
        return []
    settings = replace(settings or PageSettings(config.base_url), base_url=config.base_url)
    return [Write(PAGE_FILE, settings.to_bytes())]


def page_files(site: Path, state: RepositoryState, *, all_of_them: bool = False) -> list[Write]:
    """The files of the public page; none when it is off, or while the site has an index of its own.

    Release pages that say what they were made from and would be made from the same again are left out, unless
    ``all_of_them`` are asked for; so are those of archived releases, as long as the archive is the same.
    Raises ``SchemaError`` for a ``page.json`` with mistakes.
    """
    settings = read_settings(site)
    if settings is None or not settings.enabled or foreign_index(site):
        return []
    feeds = {channel: Feed.parse(data, f"{channel}.json") for channel, data in state.feeds.items()}
    if not feeds:
        return []
    first = next(iter(feeds.values()))
    minisign, adoption = site / MINISIGN_FILE, site / ADOPTION_FILE
    material = Material(
        settings=settings,
        app=first.app,
        component=first.component,
        feeds=feeds,
        trust=gather(state, (site / metadata_file("root", 1)).read_bytes()),
        minisign_public=minisign.read_text(encoding="ascii", errors="replace") if minisign.is_file() else "",
        history=read_history(adoption.read_bytes()) if adoption.is_file() else {},
        catalog=Catalog.of_site(site, feeds),
    )
    rendered = site / RENDERED_FILE
    before = Rendered.parse(rendered.read_bytes()) if rendered.is_file() and not all_of_them else Rendered()

    def known(path: str) -> bytes:
        return b"" if all_of_them else _beginning(site / path)

    return [Write(path, data) for path, data in render(material, known, before).items()]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except FileNotFoundError:
        return b""


def foreign_index(site: Path) -> bool:
    """Whether the site has an ``index.html`` that we did not write, and so is not ours to replace."""
    path = site / _INDEX
    return path.is_file() and GENERATOR.encode() not in _beginning(path)
