"""``feedgen license``: what is asked of sites, and what customers get."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.feedgen_operations.conftest import Published
from updater.licensing import entitlement
from updater.schema.licenses import License, Sealed


def test_from_a_price_to_a_gift(app: Published) -> None:
    ask = ("license", "require", "--message", "https://acme.example/buy")
    assert "Would make the key for licences" in app.run(*ask, "--dry-run").output
    assert (app.seen().licensing, (app.keys / "license.pem").exists()) == (None, False)
    output = app.run(*ask).output
    assert "Made the key for licences" in output
    key = app.keys / "license.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert "nothing changed" in app.run(*ask).output
    licensing = app.seen().licensing
    assert licensing is not None
    assert (len(licensing.keys), licensing.grace_days, licensing.message) == (1, 14, "https://acme.example/buy")
    app.run("license", "require", "--grace", "30")
    longer = app.seen().licensing
    assert longer is not None
    assert (longer.grace_days, longer.message) == (30, licensing.message), "what was not given stays"
    app.run("license", "require", "--grace", "14")
    file = app.folder.parent / "acme.json"
    year = datetime.now(UTC).year
    issued = ("license", "issue", str(file), "--holder", "ACME GmbH", "--until", "2125-01-31", "--channel", "beta")
    assert f"L-{year}-0001 is issued to ACME GmbH" in app.run(*issued).output
    judged = entitlement(app.seen("beta"), file.read_bytes())
    assert judged is not None and judged.license is not None and judged.problem == ""
    assert (judged.license.holder, judged.license.channels) == ("ACME GmbH", ("beta",))
    stable = entitlement(app.seen(), file.read_bytes())
    assert stable is not None and "does not cover the stable channel" in stable.problem
    app.run("publish", "v1.4.0")  # what is asked of sites outlives the next release
    assert app.seen().licensing == licensing
    app.run("license", "issue", str(app.folder.parent / "second.json"), "--holder", "Second")
    assert "counts no more" in app.run("license", "revoke", f"L-{year}-0001").output
    revoked = entitlement(app.seen("beta"), file.read_bytes())
    assert revoked is not None and "was revoked" in revoked.problem
    listed = json.loads(app.run("license", "list", "--json").output)
    states = [(item["id"], item["holder"], item["revoked"]) for item in listed["licenses"]]
    assert states == [(f"L-{year}-0001", "ACME GmbH", True), (f"L-{year}-0002", "Second", False)]
    assert "ACME GmbH" in app.run("license", "list").output
    app.run("license", "revoke", f"L-{year}-0001", "--again")
    again = entitlement(app.seen("beta"), file.read_bytes())
    assert again is not None and again.problem == ""
    app.run("verify")
    served = [path for path in app.site.rglob("*") if path.is_file()]
    assert not [path for path in served if b"ACME GmbH" in path.read_bytes()], "customers are nobody's business"
    app.run("license", "revoke", f"L-{year}-0002")
    app.run("license", "require", "--off")
    assert app.seen().licensing is None
    app.run(*ask)
    asked_again = app.seen().licensing
    assert asked_again is not None
    assert asked_again.revoked == (f"L-{year}-0002",), "a revocation was forgotten"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("issue", "x.json", "--holder", "a\nb"), "one line"),
        (("issue", "x.json", "--holder", "A", "--until", "soon"), "not a day"),
        (("issue", "x.json", "--holder", "A", "--id", "a b"), "letters, digits"),
        (("issue", "x.json", "--holder", "A", "--component", "Bad Name"), "begin with a letter"),
        (("issue", "feedgen.toml", "--holder", "A"), "exists already"),
        (("revoke", "L-1"), "No licence L-1 was issued"),
    ],
)
def test_what_makes_no_sense(app: Published, words: tuple[str, ...], said: str) -> None:
    app.run("license", "require")
    app.run("license", "issue", str(app.folder.parent / "one.json"), "--holder", "One", "--id", "one")
    assert said in app.run("license", *words, code=2).output
    assert not (app.folder / "x.json").exists()


def test_one_id_is_one_licence(app: Published) -> None:
    app.run("license", "require")
    first = app.folder.parent / "one.json"
    app.run("license", "issue", str(first), "--holder", "One", "--id", "one")
    again = ("license", "issue", str(app.folder.parent / "two.json"), "--holder", "Two", "--id", "one")
    assert "was issued before" in app.run(*again, code=2).output
    assert not (app.folder.parent / "two.json").exists()
    assert License.parse(Sealed.parse(first.read_bytes()).payload).holder == "One"


def test_without_require_there_is_no_key_and_nothing_to_revoke(app: Published) -> None:
    assert "license" in app.run("license", "issue", "x.json", "--holder", "One", code=1).output
    assert "ask for no licence" in app.run("license", "revoke", "L-1", code=1).output
    assert "ask for no licence" in app.run("license", "list").output
