"""The pages: what they say, that they lead somewhere, and that nothing on them acts or asks."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

import pytest

from feedgen.page.files import page_files
from feedgen.page.model import Material
from feedgen.page.render import PER_PAGE, render
from feedgen.page.settings import PageSettings
from feedgen.repository.state import load
from tests.feedgen_page.html import Page
from tests.feedgen_page.made_up import START, feeds, material, release
from tests.feedgen_page.shop import TAGS, Shop
from updater.schema import Feed, Notes, Release, Requires, Rollout, RolloutStep, Yank
from updater.schema.feed import Advisory, EndOfLife
from updater.schema.licenses import Licensing

ATOM = "{http://www.w3.org/2005/Atom}"
NOW = TAGS["v1.3.0b1"]
EVIL = (
    "</title></script></style>\"'><script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>"
    "\x0b\u202e]]>"
)


def pages(files: dict[str, bytes]) -> list[Page]:
    return [Page.read(path, data) for path, data in files.items() if path.endswith(".html") and path != "404.html"]


def hostile() -> Material:
    """Everything that a feed can say in free text says something evil."""
    one = release(
        "1.0.0",
        security=(EVIL,),
        notes=Notes(EVIL, "https://a.example/?q=%22onx='", {"de": EVIL, EVIL: EVIL}),
        requires=Requires(EVIL, (EVIL,), "0.9.0"),
        yanked=Yank(EVIL, START),
        container=EVIL,
    )
    package = replace(one.package, urls=("packages/a'b\"<i>.zip", 'https://a.example/"><script>x</script>.zip'))
    settings = PageSettings("https://acme.example/shop/", EVIL, EVIL)
    listed = [replace(one, package=package), replace(release("1.1.0b1", 1), notes=Notes(EVIL), rollout=None)]
    return material(listed, settings=settings, minisign_public=f"x\n{EVIL}\n", history={"2026-01-01": {"1.0.0": 3}})


def test_the_same_state_gives_the_same_bytes(shop: Shop) -> None:
    before = shop.files()
    shop.commit(NOW)
    after = shop.files()
    assert "stats/index.html" in after
    assert shop.commit(NOW + timedelta(days=1)) == ()
    assert shop.files() == after
    state = load(shop.site)
    assert {write.path: write.data for write in page_files(shop.site, state, all_of_them=True)}.items() <= after.items()
    assert before.keys() < after.keys()


def test_every_link_leads_to_a_file(shop: Shop) -> None:
    shop.commit(NOW)
    files = shop.files()
    by_path = {page.path: page for page in pages(files)}
    assert len(by_path) == 11
    for page in by_path.values():
        for reference in (*page.links, *page.loads):
            target = page.target(reference)
            assert target is None or target in files, (page.path, reference)
            fragment = reference.partition("#")[2]
            assert not fragment or target is None or fragment in by_path[target].ids


@pytest.mark.parametrize("kind", ["shop", "hostile"])
def test_nothing_acts_and_nothing_is_asked_for(shop: Shop, kind: str) -> None:
    if kind == "shop":
        shop.commit(NOW)
    files = shop.files() if kind == "shop" else render(hostile())
    for page in pages(files):
        assert page.problems == [], page.path
        assert len(page.ids) == len(set(page.ids)), page.path
        for reference in page.loads:
            assert page.target(reference) in files, (page.path, reference)
        policy = [given["content"] for tag, given in page.elements if given.get("http-equiv")]
        assert policy == ["default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"]
        for tag, given in page.elements:
            assert tag not in ("style", "iframe", "object", "embed", "form", "base", "video", "audio"), page.path
            assert tag != "script" or given == {"type": "application/ld+json"}
            assert not [name for name in given if name.startswith("on") or name in ("style", "srcdoc")], page.path
        for reference in page.links:
            assert re.match(r"(https?://|mailto:|[^:]*$)", reference), reference
    for path, data in files.items():
        if path.endswith((".css", ".svg")):
            assert b"url(" not in data
            assert b"@import" not in data
            assert b"<script" not in data


def test_hostile_text_is_text() -> None:
    files = render(hostile())
    for page in pages(files):
        assert "\x0b" not in page.text
        assert "\u202e" not in page.text
    for path, data in files.items():
        if path.endswith((".atom", ".xml", ".svg")):
            ET.fromstring(data)
        if path.endswith(".json"):
            json.loads(data)
    assert "releases/1.0.0/index.html" in files
    page = Page.read("index.html", files["index.html"])
    data = re.search(r'<script type="application/ld\+json">(.*?)</script>', files["index.html"].decode())
    assert data is not None
    assert json.loads(data[1])["name"].startswith("</title></script>")
    assert page.problems == []


def test_index(shop: Shop) -> None:
    shop.commit(NOW)
    files = shop.files()
    page = Page.read("index.html", files["index.html"])
    assert "packages/shop-1.2.0.zip" in page.links
    assert "packages/shop-1.2.0.zip.minisig" in page.links
    root = re.search(r"[0-9a-f]{64}", shop.run("root", "show").output)
    assert root is not None
    assert f"--root-sha256 {root[0]}" in page.text
    assert "updater install https://juniper-goods.example/shop/stable.json" in page.text
    key = files["minisign.pub"].decode().splitlines()[1]
    assert f"minisign -Vm shop-1.2.0.zip -P {key}" in page.text
    digest = load_release(shop, "1.2.0").package.sha256
    assert f'echo "{digest}  shop-1.2.0.zip" | sha256sum -c' in page.text
    assert "10 % from 23 March 2026, 09:00 UTC" in page.text


def load_release(shop: Shop, version: str) -> Release:
    found = Feed.parse((shop.site / "stable.json").read_bytes()).release(version)
    assert found is not None
    return found


def test_marks_are_words() -> None:
    listed = [
        release("1.0.0", stop=True),
        release("1.1.0", 1, yanked=Yank("loses orders", START)),
        release("1.2.0", 2, critical=True, security=("CVE-2026-1",)),
        release("1.3.0", 3, halted=True),
        release("1.4.0b1", 4),
    ]
    files = render(material(listed))
    index = Page.read("index.html", files["index.html"])
    for words in ("Required step", "Withdrawn", "Critical", "Security fix", "Halted", "Beta"):
        assert words in index.text
    assert "loses orders" in Page.read("r", files["releases/1.1.0/index.html"]).text
    assert "Download 1.2.0" in index.text
    assert json.loads(files["badges/stable.json"])["message"] == "1.2.0"
    assert json.loads(files["badges/beta.json"])["message"] == "1.4.0b1"
    assert "badges/alpha.json" in files


def test_nothing_is_offered_while_everything_is_withdrawn() -> None:
    files = render(material([release("1.0.0", yanked=Yank(""))]))
    assert "No release yet" in Page.read("index.html", files["index.html"]).text
    assert json.loads(files["badges/stable.json"])["message"] == "none"


def test_a_rollout_is_shown_in_times() -> None:
    steps = tuple(RolloutStep(START + timedelta(days=day), percent) for day, percent in ((0, 5), (2, 100)))
    files = render(material([release("1.0.0", rollout=Rollout("x", steps))]))
    for path in ("index.html", "releases/1.0.0/index.html", "channels/index.html"):
        text = Page.read(path, files[path]).text
        assert "5 %" in text
        assert "22 January 2026, 10:00 UTC" in text
        assert not re.search(r"\bnow at\b|\bcurrently\b", text)


def test_one_more_release_leaves_old_pages_alone() -> None:
    listed = [release(f"1.{number}.0", number) for number in range(4 * PER_PAGE)]
    before = render(material(listed))
    after = render(material([*listed, release("2.0.0", 1000)]))
    changed = {path for path in after if before.get(path) != after[path]}
    assert {path for path in changed if path.startswith(("releases/", "changelog/"))} == {
        "releases/2.0.0/index.html",
        "changelog/index.html",
    }
    assert {"changelog/1/index.html", "changelog/3/index.html"} <= after.keys()
    assert before.keys() < after.keys()


def test_the_changelog_has_every_release_once() -> None:
    for count in (0, 1, PER_PAGE, 2 * PER_PAGE - 1, 2 * PER_PAGE, 3 * PER_PAGE + 1):
        listed = [release(f"1.{number}.0", number) for number in range(count)]
        files = render(material(listed)) if listed else {}
        found = [
            version
            for page in pages({path: data for path, data in files.items() if path.startswith("changelog/")})
            for version in re.findall(r"(?m)^1\.\d+\.0$", page.text)
        ]
        assert sorted(found) == sorted(one.version for one in listed)


def test_known_pages_are_not_rendered_again() -> None:
    listed = [release(f"1.{number}.0", number) for number in range(3 * PER_PAGE)]
    made = render(material(listed))

    def known(path: str) -> bytes:
        return made.get(path, b"")[:1024]

    again = render(material([*listed, release("2.0.0", 1000)]), known)
    assert [path for path in again if path.startswith("releases/")] == ["releases/2.0.0/index.html"]
    changed = replace(listed[0], yanked=Yank("bad"))
    again = render(material([changed, *listed[1:]]), known)
    assert [path for path in again if path.startswith("releases/")] == ["releases/1.0.0/index.html"]
    renamed = render(material(listed, settings=PageSettings("https://acme.example/shop/", "Other")), known)
    assert renamed.keys() >= {path for path in made if path.startswith("releases/")}


def test_atom_feeds(shop: Shop) -> None:
    for channel in ("stable", "beta", "alpha"):
        feed = ET.fromstring((shop.site / f"{channel}.atom").read_bytes())
        assert feed.tag == f"{ATOM}feed"
        for name in ("title", "id", "updated", "author"):
            assert len(feed.findall(f"{ATOM}{name}")) == 1
        links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
        assert links["self"] == f"https://juniper-goods.example/shop/{channel}.atom"
        entries = feed.findall(f"{ATOM}entry")
        ids = [entry.findtext(f"{ATOM}id") for entry in entries]
        assert len(set(ids)) == len(ids) == (4 if channel == "stable" else 5)
        for entry in entries:
            for name in ("title", "id", "updated", "published", "content"):
                text = entry.findtext(f"{ATOM}{name}")
                assert text
            content = entry.find(f"{ATOM}content")
            assert content is not None
            assert content.get("type") == "html"
        titles = [entry.findtext(f"{ATOM}title") for entry in entries]
        assert "Juniper Shop 1.1.1 (withdrawn)" in titles


def test_atom_ids_stay_when_the_site_moves() -> None:
    here = material([release("1.0.0")])
    there = replace(here, settings=PageSettings("https://new.example/"))

    def ids(found: Material) -> list[str]:
        return re.findall("<id>(.*?)</id>", render(found)["stable.atom"].decode())

    assert ids(here) == ids(there)
    assert all(one.startswith("urn:uuid:") for one in ids(here))


def test_trust_page(shop: Shop) -> None:
    page = Page.read("trust/index.html", (shop.site / "trust" / "index.html").read_bytes())
    for text in ("2 of 3", "root-1, root-2, root-3", "8 January 2027", "beta, 6 July 2026", "21 April 2026, 12:00 UTC"):
        assert text in page.text
    assert "another place" in page.text


def test_other_files(shop: Shop) -> None:
    files = shop.files()
    assert files["404.html"] == b"404\n"
    security = files[".well-known/security.txt"].decode()
    assert security.startswith("Contact: mailto:security@juniper-goods.example\nExpires: 2027-01-08T09:00:00Z\n")
    sitemap = ET.fromstring(files["sitemap.xml"])
    locations = [found.text or "" for found in sitemap.iter() if found.tag.endswith("}loc")]
    base = "https://juniper-goods.example/shop/"
    assert {f"{location.removeprefix(base)}index.html" for location in locations} <= files.keys()
    plain = render(material([release("1.0.0")]))
    assert not [path for path in plain if path.startswith((".well-known", "stats/", "robots"))]


def test_components_and_mirrors() -> None:
    one = release("1.0.0")
    urls = ("https://github.example/acme/shop/releases/download/v1.0.0/shop-themes-1.0.0.zip", "packages/x.zip")
    made = material([replace(one, package=replace(one.package, urls=urls))])
    page = Page.read(
        "releases/1.0.0/index.html", render(replace(made, component="themes"))["releases/1.0.0/index.html"]
    )
    assert "shop themes 1.0.0" in page.text
    assert f"{urls[0]}.minisig" in page.links
    assert "../../packages/x.zip" in page.links


def test_assets_are_named_by_their_content() -> None:
    files = render(material([release("1.0.0")]))
    assert len([path for path in files if re.fullmatch(r"style\.[0-9a-f]{12}\.css", path)]) == 1
    assert next(iter(files)).startswith("style.")
    assert list(files)[-1] == "index.html"


def test_unknown_channels_of_feeds_do_not_matter() -> None:
    only_beta = feeds([release("1.0.0b1")])
    files = render(replace(material([release("1.0.0b1")]), feeds=only_beta))
    assert "Download 1.0.0b1" in Page.read("index.html", files["index.html"]).text
    assert "stable.atom" not in files


def test_what_is_told_about_versions_that_are_out_is_on_the_first_page() -> None:
    one = material([release("1.0.0"), release("1.1.0", 1)])
    assert b"Advisories and support" not in render(one)["index.html"]
    said = {
        "advisories": (
            Advisory("CVE-2026-1", "high", "<1.1", "orders <leak>", START, "Turn it off.", "https://a.example/cve"),
            Advisory("X-2", "low", "<1.1", EVIL, START),
        ),
        "end_of_life": (EndOfLife("<1", START, "Move on."),),
        "licensing": Licensing(("a" * 64,), message="https://a.example/buy"),
    }
    told = replace(one, feeds={name: replace(feed, **said) for name, feed in one.feeds.items()})
    data = render(told)["index.html"]
    page = Page.read("index.html", data)
    text = data.decode()
    assert "orders &lt;leak&gt; (high). Turn it off." in text
    assert '<a href="https://a.example/cve">CVE-2026-1</a>' in text
    assert "No more fixes. Move on." in text
    assert "https://a.example/buy" in text
    assert "<script>alert" not in text
    assert page is not None
