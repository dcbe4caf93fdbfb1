"""From material to files: pure. The same material gives the same bytes (docs/page.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from feedgen.page.adoption import chart
from feedgen.page.badge import badge_json, badge_svg
from feedgen.page.environment import clean, environment
from feedgen.page.listing import PER_PAGE, RENDERED_FILE, Listing, Rendered, list_releases
from feedgen.page.model import (
    Entry,
    Material,
    absolute,
    newest,
    package_file,
    short_digest,
    signature_url,
)
from feedgen.page.upgrade import routes
from feedgen.publish.catalog import Catalog
from updater.schema import CHANNELS, Release

__all__ = ["GENERATOR", "PER_PAGE", "render"]

GENERATOR = '<meta name="generator" content="Tagship feedgen">'
"""How we know our own pages."""

ON_INDEX = 10
IN_ATOM = 30
MOST_ROUTES = 50

NAVIGATION = (
    ("changelog/", "Changelog"),
    ("channels/", "Channels"),
    ("upgrade/", "Upgrading"),
    ("trust/", "Trust"),
)
ABOUT_CHANNELS = {
    "stable": "Finished releases. For every site that people rely on.",
    "beta": "What becomes the next stable release, to be tried before. Also lists all stable releases.",
    "alpha": "Work in progress, for those who help to make it. Lists everything.",
}


Known = Callable[[str], bytes]
"""The beginning of the file that is at a path now; empty when there is none."""


def render(material: Material, known: Known = lambda _path: b"", before: Rendered | None = None) -> dict[str, bytes]:
    """All files of the public page, by path: assets first, so that no page is there before its style.

    Pages that grow in number carry a digest of what they were made from; one that is ``known`` to be made from the same
    is left out. Those of archived releases are not looked at when ``before`` says that they were rendered from the same
    archive, so that the ten thousandth release costs what the tenth did. The file that says so comes last.
    """
    return dict(_Pages(material, known, before or Rendered()).files())


class _Pages:
    """One rendering."""

    def __init__(self, material: Material, known: Known, before: Rendered) -> None:
        self.material = material
        self.known = known
        self.chart = chart(material.history)
        style = files("feedgen.page").joinpath("templates", "style.css").read_bytes()
        icon = self._text("icon.svg.jinja", letter=clean(material.title)[:1].upper() or "?")
        self.style = (f"style.{short_digest(style)}.css", style)
        self.icon = (f"icon.{short_digest(icon)}.svg", icon)
        settings, shown = material.settings, self._navigation()
        self.common = repr((_program(), settings, material.title, material.app, material.minisign_key, icon, shown))
        common = short_digest(self.common.encode())
        catalog = material.catalog or Catalog(material.feeds)
        self.listing: Listing = list_releases(catalog, before if before.common == common else Rendered())
        archive = {link.sha256 for feed in material.feeds.values() for link in feed.archive}
        self.rendered = Rendered(common, frozenset(archive), self.listing.moved)
        self.listed = self.listing.recent
        self.newest = {channel: newest(channel, self.listed) for channel in CHANNELS}
        self.channels = [channel for channel in CHANNELS if channel in material.feeds]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of each file."""
        yield from (self.style, self.icon)
        yield from self._machines()
        for entry in (*self.listing.again, *reversed(self.listed)):
            yield from self._unless_known(entry.path, "release.html.jinja", entry.version, [entry], entry=entry)
        yield from self._changelog()
        yield self._page("channels/", "channels.html.jinja", "Channels", about=ABOUT_CHANNELS)
        yield self._page("upgrade/", "upgrade.html.jinja", "Upgrading", ways=self._routes(), most=MOST_ROUTES)
        yield self._page("trust/", "trust.html.jinja", "Trust", trust=self.material.trust)
        if self.chart is not None:
            yield self._page("stats/", "stats.html.jinja", "Adoption", chart=self.chart)
        yield self._index()
        if self.rendered.archive:
            yield RENDERED_FILE, self.rendered.to_bytes()

    def _index(self) -> tuple[str, bytes]:
        offered = list({found.version: found for found in self.newest.values() if found is not None}.values())
        main, others = (offered[0], offered[1:]) if offered else (None, [])
        return self._page(
            "",
            "index.html.jinja",
            "",
            entry=main,
            others=others,
            recent=self.listed[:ON_INDEX],
            linked_data=self._linked_data(main),
            about=ABOUT_CHANNELS,
            said=next(iter(self.material.feeds.values()), None),  # what each channel says beside its releases
        )

    def _changelog(self) -> Iterator[tuple[str, bytes]]:
        """Full pages are counted from the oldest release on, so that they stay as they are when one more comes."""
        for number, part in self.listing.parts.items():
            title = f"Changelog, part {number}"
            path, older = f"changelog/{number}/", number - 1
            yield from self._unless_known(path, "changelog.html.jinja", title, part, part=part, older=older)
        head, full = self.listing.head, self.listing.full
        yield self._page("changelog/", "changelog.html.jinja", "Changelog", part=head, older=full)

    def _machines(self) -> Iterator[tuple[str, bytes]]:
        """What programs read: Atom feeds, badges, the site map, and where to report a vulnerability."""
        for channel in self.channels:
            feed = self.material.feeds[channel]
            listed = [entry for entry in self.listed if channel in entry.feeds][:IN_ATOM]
            updated = max([feed.generated, *(entry.updated for entry in listed)])
            yield f"{channel}.atom", self._text("atom.xml.jinja", channel=channel, listed=listed, updated=updated)
            found = self.newest[channel]
            message = found.version if found else "none"
            yield f"badges/{channel}.json", badge_json(channel, message)
            yield f"badges/{channel}.svg", badge_svg(channel, message)
        if self.material.settings.security_contact:
            expires = self.material.trust.role("root").expires
            yield ".well-known/security.txt", self._text("security.txt.jinja", expires=expires)
        pages = ["", *(path for path, _ in self._navigation())]
        yield "sitemap.xml", self._text("sitemap.xml.jinja", pages=pages, listed=self.listed)

    def _navigation(self) -> list[tuple[str, str]]:
        return [*NAVIGATION, *([("stats/", "Adoption")] if self.chart is not None else [])]

    def _unless_known(
        self, path: str, template: str, title: str, made_from: Sequence[Entry], **values: Any
    ) -> Iterator[tuple[str, bytes]]:
        said = json.dumps([[entry.release.to_json(), entry.feeds] for entry in made_from])
        source = f'<meta name="source" content="{short_digest(f"{self.common}{title}{said}".encode())}">'
        if source.encode() not in self.known(f"{path}index.html"):
            yield self._page(path, template, title, source=Markup(source), **values)  # noqa: S704 - hex digits

    def _page(self, path: str, template: str, title: str, *, source: str = "", **values: Any) -> tuple[str, bytes]:
        """A page in a folder of its own; ``base`` leads from it to the top of the site."""
        base = "../" * path.count("/")

        def href(reference: str) -> str:
            return absolute(reference, base) or "./"

        data = self._text(
            template,
            path=path,
            title=title,
            href=href,
            signature=signature_url,
            package_file=lambda release: package_file(self.material, release),
            newest=self.newest,
            channels=self.channels,
            all_channels=CHANNELS,
            style=self.style[0],
            icon=self.icon[0],
            generator=Markup(f"{GENERATOR}\n{source}" if source else GENERATOR),  # noqa: S704 - a constant and digits
            navigation=self._navigation(),
            **values,
        )
        return f"{path}index.html", data

    def _text(self, template: str, **values: Any) -> bytes:
        text: str = _template(template).render(site=self.material, settings=self.material.settings, **values)
        return text.encode("utf-8")

    def _routes(self) -> list[tuple[str, list[Any]]]:
        """Ways by channel; a less settled channel only when it leads somewhere else."""
        ways = []
        for channel in self.channels:
            if channel == self.channels[0] or self.newest[channel] != self.newest[self.channels[0]]:
                ways.append((channel, routes(self.material.feeds[channel].releases)))
        return ways

    def _linked_data(self, entry: Entry | None) -> Markup:
        """A description for search engines. It is data, which the policy does not run."""
        about: dict[str, Any] = {
            "@context": "https://schema.org",
            "@type": "SoftwareApplication",
            "name": self.material.title,
            "url": self.material.settings.base_url,
        }
        if self.material.settings.description:
            about["description"] = self.material.settings.description
        if entry is not None:
            about |= _described(entry.release, self.material.settings.base_url)
        text = json.dumps(about, ensure_ascii=False)
        for char in "<>&\u2028\u2029":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return Markup(clean(text))  # noqa: S704 - nothing in it can end the element


def _described(release: Release, base_url: str) -> dict[str, Any]:
    return {
        "softwareVersion": release.version,
        "datePublished": f"{release.published:%Y-%m-%d}",
        "downloadUrl": absolute(release.package.urls[0], base_url),
        "releaseNotes": f"{base_url}releases/{release.version}/",
        "fileSize": f"{release.package.size} B",
    }


@lru_cache(maxsize=1)
def _program() -> str:
    """A digest of this program: pages that an earlier one made are made again."""
    folder = files("feedgen.page")
    parts = [*folder.iterdir(), *folder.joinpath("templates").iterdir()]
    return short_digest(b"".join(sorted(part.read_bytes() for part in parts if part.is_file())))


@lru_cache
def _template(name: str) -> Any:
    return environment().get_template(name)
