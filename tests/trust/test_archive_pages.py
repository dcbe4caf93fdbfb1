"""Archive pages on the client: exactly what the feed links to, or nothing; and no more than a site can hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.packages import make_package
from updater.errors import DownloadError, FeedError, SchemaError, TargetMismatchError
from updater.schema import ArchiveLink, ArchivePage, Feed, Release
from updater.transport import DirectoryTransport
from updater.trust.archive import with_older_releases

BASE = "https://acme.example/shop/"
NOW = datetime(2026, 1, 20, tzinfo=UTC)
BUILT = make_package({"a": b"1"}).to_release()


def release(version: str) -> Release:
    return replace(BUILT, version=version)


def page(*versions: str, **values: str) -> ArchivePage:
    given = {"app": "shop", "channel": "stable"} | values
    return ArchivePage(releases=tuple(release(version) for version in versions), **given)  # type: ignore[arg-type]


class Site:
    """A feed of 2.0, and pages that are served from a folder."""

    def __init__(self, folder: Path) -> None:
        self.www, self.kept = folder / "www", folder / "kept"
        self.www.mkdir()
        self.links: list[ArchiveLink] = []

    def link(self, made: ArchivePage, **values: object) -> ArchiveLink:
        data = made.to_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{sha256[:16]}.json"
        (self.www / name).write_bytes(data)
        versions = [one.version for one in made.releases]
        link = ArchiveLink(name, len(data), sha256, versions[0], versions[-1], len(versions))
        self.links.append(replace(link, **values))  # type: ignore[arg-type]
        return self.links[-1]

    @property
    def feed(self) -> Feed:
        return Feed("shop", "stable", 1, NOW, (release("2.0"),), archive=tuple(self.links))

    def read(self) -> Feed:
        transport = DirectoryTransport(BASE, self.www)
        return with_older_releases(self.feed, self.links, self.kept, transport, feed_url=f"{BASE}stable.json")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_pages_are_read_once_and_forgotten_with_their_link(site: Site) -> None:
    site.link(page("1.1", "1.0"))
    site.link(page("1.2", "0.9"))
    assert [one.version for one in site.read().releases] == ["2.0", "1.2", "1.1", "1.0", "0.9"]
    for path in site.www.iterdir():
        path.unlink()
    assert len(site.read().releases) == 5
    kept = site.links.pop()
    assert len(site.read().releases) == 3
    assert [path.name for path in site.kept.iterdir()] == [f"{site.links[0].sha256}.json"]
    site.links.append(kept)
    with pytest.raises(DownloadError):
        site.read()


def test_a_copy_that_rots_is_fetched_again(site: Site) -> None:
    site.link(page("1.0"))
    site.read()
    (copy,) = site.kept.iterdir()
    copy.write_bytes(b"rot")
    assert len(site.read().releases) == 2


@pytest.mark.parametrize(
    ("made", "values"),
    [
        (page("1.0", app="blog"), {}),
        (page("1.0", component="dark"), {}),
        (page("1.0", channel="beta"), {}),
        (page("1.1", "1.0"), {"newest": "1.2"}),
        (page("1.1", "1.0"), {"oldest": "0.9"}),
        (page("1.1", "1.0"), {"oldest": "1.0.0"}),
        (page("1.1", "1.0"), {"count": 3}),
        (page("1.1", "2.0", "1.0"), {"newest": "2.0"}),
    ],
)
def test_a_page_of_something_else_is_refused(site: Site, made: ArchivePage, values: dict[str, object]) -> None:
    site.link(made, **values)
    if values == {"oldest": "1.0.0"}:  # another spelling of the same version
        assert len(site.read().releases) == 3
        return
    with pytest.raises(FeedError):
        site.read()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1], DownloadError),
        (lambda data: data + b" ", TargetMismatchError),
        (lambda data: data.replace(b"1.0", b"1.3"), TargetMismatchError),
    ],
)
def test_bytes_that_were_not_signed(
    site: Site, change: Callable[[bytes], bytes], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("updater.transport.fetch_file.download.__kwdefaults__", {**_defaults(), "backoff": ()})
    link = site.link(page("1.0"))
    path = site.www / link.url
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(error):
        site.read()


def _defaults() -> dict[str, object]:
    from updater.transport.fetch_file import download

    return dict(download.__kwdefaults__ or {})


def test_signed_nonsense_is_refused(site: Site) -> None:
    data = b"{}\n"
    sha256 = hashlib.sha256(data).hexdigest()
    (site.www / "x.json").write_bytes(data)
    site.links.append(ArchiveLink("x.json", len(data), sha256, "1.0", "1.0", 1))
    with pytest.raises(SchemaError):
        site.read()


def test_too_much_is_not_begun(site: Site) -> None:
    site.links += [ArchiveLink(f"{n}.json", 1 << 24, f"{n:064x}", "1.0", "0.9", 1000) for n in range(5)]
    with pytest.raises(FeedError, match="more than 64 MiB"):
        site.read()
    assert not site.kept.exists()
