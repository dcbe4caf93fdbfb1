"""Licences: what a site may have with one, judged from the signed feed alone, and that none is ever forged."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from feedgen.operations.licensing import issue, public_key
from tests.cli.sites import publish
from tests.policy.test_decisions import release
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.cli import main
from updater.cli.exits import Exit
from updater.errors import BlockedError
from updater.licensing import AHEAD, Entitlement, ending, entitlement
from updater.schema.feed import Feed
from updater.schema.licenses import License, Licensing, Sealed, to_sign
from updater.selection import select

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
LICENSING = Licensing((public_key(KEY),), grace_days=14, message="https://acme.example/buy")
LICENSE = License("L-1", "shop", "ACME", NOW)


def feed(licensing: Licensing | None = LICENSING, **fields: Any) -> Feed:
    return replace(Feed("shop", "stable", 1, NOW, (release("1.4.3"), release("1.4.2")), licensing=licensing), **fields)


def file(key: Ed25519PrivateKey = KEY, **fields: Any) -> bytes:
    return issue(replace(LICENSE, **fields), key).to_bytes()


def chosen(found: Feed, data: bytes | None, **options: Any) -> tuple[str | None, tuple[str, ...]]:
    about: dict[str, Any] = {"site_id": "5" * 32, "now": NOW, "python": "3.11.7"}
    selection = select(found, "1.4.2", entitled=entitlement(found, data), **(about | options))
    return selection.release and selection.release.version, selection.reasons


def test_without_licensing_nobody_needs_one() -> None:
    assert entitlement(feed(None), None) is None
    assert chosen(feed(None), None)[0] == "1.4.3"


def test_with_one_the_release_can_be_had() -> None:
    assert chosen(feed(), file())[0] == "1.4.3"
    two = replace(LICENSING, keys=(public_key(OTHER), public_key(KEY)))
    assert chosen(feed(two), file())[0] == "1.4.3"


@pytest.mark.parametrize(
    ("found", "data", "said"),
    [
        (feed(), None, "it needs a licence (https://acme.example/buy)"),
        (feed(), b"{}", "cannot be read"),
        (feed(), b"\xff", "cannot be read"),
        (feed(), file(OTHER), "was not signed by this app's maintainer"),
        (feed(), file(app="other"), "is for the app 'other'"),
        (feed(replace(LICENSING, revoked=("L-1",))), file(), "L-1 was revoked"),
        (feed(), file(channels=("beta",)), "does not cover the stable channel, only beta"),
        (feed(), file(components=("dark",)), "does not cover 'core', only dark"),
        (feed(), file(updates_until=NOW - timedelta(days=30)), "covers what was published until 2026-02-02"),
    ],
)
def test_why_not_in_words(found: Feed, data: bytes | None, said: str) -> None:
    for options in ({}, {"to": "1.4.3"}, {"unattended": True}):
        version, reasons = chosen(found, data, **options)
        assert version is None
        assert said in reasons[-1]


def test_the_day_of_publication_decides_and_the_grace_is_added() -> None:
    published = release("1.4.3").published
    for days, may in ((0, True), (-14, True), (-14.1, False)):
        judged = entitlement(feed(), file(updates_until=published.replace(microsecond=0) + timedelta(days=days)))
        assert judged is not None
        assert (judged.why_not(release("1.4.3")) is None) is may


@pytest.mark.parametrize(
    ("days", "said"),
    [(31, ""), (29, "ends on"), (-1, "releases can still be had"), (-15, "what is installed stays")],
)
def test_its_end_is_told_in_time(days: int, said: str) -> None:
    judged = entitlement(feed(), file(updates_until=NOW + timedelta(days=days)))
    assert said in ending(judged, NOW)
    assert bool(said) == bool(ending(judged, NOW))
    assert ending(None, NOW) == ending(Entitlement(None, "x"), NOW) == ""
    assert timedelta(days=30) == AHEAD


@given(st.data())
def test_no_other_byte_counts(data: st.DataObject) -> None:
    """Whatever is changed in a genuine licence, its signature or what they are about: it lets nothing in."""
    sealed = Sealed.parse(file(updates_until=NOW))
    place = data.draw(st.integers(0, len(sealed.payload) - 1))
    flipped = bytearray(sealed.payload)
    flipped[place] ^= data.draw(st.integers(1, 255))
    wrong = data.draw(
        st.sampled_from(
            [
                replace(sealed, payload=bytes(flipped)),
                replace(sealed, signature=OTHER.sign(to_sign(sealed.payload)).hex()),
                replace(sealed, signature=KEY.sign(sealed.payload).hex()),
            ]
        )
    )
    judged = entitlement(feed(), wrong.to_bytes())
    assert judged is not None and judged.problem and judged.license is None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_file_holds(data: bytes) -> None:
    judged = entitlement(feed(), data)
    assert judged is not None and judged.problem


def test_the_feed_keeps_it() -> None:
    one = feed(replace(LICENSING, revoked=("L-2", "L-3"), extra={"x_more": 1}))
    assert Feed.parse(one.to_bytes()) == one


def test_a_site_without_cryptography_judges_alike() -> None:
    program = """
import sys; sys.modules["cryptography"] = None
from updater.licensing import entitlement
from updater.schema.feed import Feed
found = Feed.parse(open(sys.argv[1], "rb").read())
for name in sys.argv[2:]:
    print(entitlement(found, open(name, "rb").read()).problem or "counts")
"""
    with tempfile.TemporaryDirectory() as folder:
        files = {"feed": feed().to_bytes(), "good": file(), "bad": file(OTHER), "none": b"{}"}
        paths = {name: Path(folder) / name for name in files}
        for name, data in files.items():
            paths[name].write_bytes(data)
        words = [sys.executable, "-c", program, *map(str, paths.values())]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    counts, unsigned, unreadable = done.stdout.splitlines()
    assert counts == "counts"
    assert "was not signed by" in unsigned
    assert "cannot be read" in unreadable


# the way through


@pytest.fixture
def publisher() -> SitePublisher:
    found = SitePublisher()
    publish(found, "1.0.0", "1.1.0")
    ask_for_one(found, LICENSING)
    return found


def ask_for_one(publisher: SitePublisher, licensing: Licensing | None) -> None:
    publisher.set_releases(list(publisher.feeds["stable"].releases), licensing=licensing)


@pytest.fixture
def url(publisher: SitePublisher) -> Iterator[str]:
    with publisher.serving() as server:
        yield f"{server.url}stable.json"


def test_a_paid_app_from_its_install_to_its_end(
    publisher: SitePublisher, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, path = tmp_path / "site", tmp_path / "license.json"
    until = (datetime.now(UTC) + timedelta(days=365)).replace(microsecond=0)
    install = ["install", url, str(site), "--yes", "--version", "1.0.0"]
    assert main(install) == Exit.BLOCKED
    assert "it needs a licence (https://acme.example/buy)" in capsys.readouterr().err
    assert not site.exists()
    path.write_bytes(file(updates_until=until))
    assert main([*install, "--license", str(path)]) == 0
    kept = site / ".updater" / "license.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    assert main(["license", "--site", str(site)]) == 0
    assert "Licence L-1 of ACME" in capsys.readouterr().out
    ask_for_one(publisher, replace(LICENSING, revoked=("L-1",)))
    assert main(["update", "--yes", "--site", str(site)]) == Exit.BLOCKED
    assert main(["license", "--site", str(site), "--json"]) == Exit.BLOCKED
    told = json.loads(capsys.readouterr().out)
    assert (told["needed"], told["counts"], told["id"]) == (True, False, "L-1")
    assert (Updater(site).site.state().version, (site / "shop" / "a.py").read_text()) == ("1.0.0", "A = 1\n")
    bad, good = tmp_path / "bad.json", tmp_path / "good.json"
    bad.write_bytes(file(OTHER, id="L-2"))
    good.write_bytes(file(id="L-2"))
    assert main(["license", str(bad), "--site", str(site)]) == Exit.BLOCKED
    assert kept.read_bytes() == path.read_bytes()
    assert main(["license", str(good), "--site", str(site)]) == 0
    assert main(["update", "--yes", "--site", str(site)]) == 0
    assert main(["license", "--remove", "--site", str(site)]) == 0
    assert main(["rollback", "--yes", "--site", str(site)]) == 0
    assert not Updater(site).check().update_available
    ask_for_one(publisher, None)
    assert Updater(site).check().update_available
    assert main(["license", "--site", str(site)]) == 0
    assert "needs no licence" in capsys.readouterr().out


def test_a_licence_that_cannot_be_read_is_an_error_and_no_entitlement(url: str, tmp_path: Path) -> None:
    site = set_up_site(url, tmp_path / "site", license=file()).site
    site.license_path.unlink()
    site.license_path.mkdir()
    with pytest.raises(Exception, match="licence"):
        Updater(site).check()


def test_check_tells_of_the_end(url: str, tmp_path: Path) -> None:
    until = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    site = set_up_site(url, tmp_path / "site", license=file(updates_until=until)).site
    assert "The licence L-1 ends on" in Updater(site).check().reasons[0]


def test_a_first_install_without_one_fetches_no_package(publisher: SitePublisher, tmp_path: Path) -> None:
    with publisher.serving() as server:
        with pytest.raises(BlockedError):
            set_up_site(f"{server.url}stable.json", tmp_path / "other", license=file(OTHER))
        assert [request.path for request in server.requests if request.path.endswith(".zip")] == []
    assert not (tmp_path / "other").exists()
