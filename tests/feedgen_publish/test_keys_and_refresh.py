"""``feedgen refresh`` and ``feedgen root``: expiry, thresholds, rotation, and what old clients make of it."""

from __future__ import annotations

import contextlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from feedgen.errors import ConfigError, KeyNotFoundError, SigningError
from feedgen.keys import key_name, named, write_key
from feedgen.publish.ceremony import Ceremony
from feedgen.publish.refresh import refresh
from feedgen.repository.ceremony import Edit, members
from feedgen.repository.state import RepositoryState, load
from tests.feedgen_publish.conftest import PASSPHRASE, App, days_ago
from tests.feedgen_publish.test_publish import Killed, client, killed_at

GRACE = timedelta(days=7)


def at(days: float) -> datetime:
    return days_ago(-days)


def test_nothing_due(published: App) -> None:
    before = published.snapshot()
    assert "Nothing is due" in published.run("refresh").output
    assert published.snapshot() == before


def test_timestamp_alone_is_renewed(published: App, tmp_path: Path) -> None:
    client(published, tmp_path / "trust")
    away = published.put_away("root-1", "root-2", "root-3", "stable", "beta", "alpha")
    assert away.is_dir()
    before = published.snapshot()
    result = refresh(published.site, published.ring(), now=at(4.5), grace=GRACE)
    assert result.signed == ("timestamp",)
    after = published.snapshot()
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"metadata/timestamp.json", "trust/index.html"}
    assert refresh(published.site, published.ring(), now=at(4.5), grace=GRACE).written == ()
    client(published, tmp_path / "trust")


def test_everything_is_renewed_with_all_keys(published: App, tmp_path: Path) -> None:
    client(published, tmp_path / "trust")
    result = refresh(published.site, published.ring(), now=at(310), grace=GRACE)
    assert set(result.signed) == {"root", "targets", "stable", "beta", "alpha", "snapshot", "timestamp"}
    state = load(published.site)
    assert state.root.signed.version == 2
    assert state.root.signed.expires.replace(tzinfo=UTC) > at(600)
    client(published, tmp_path / "trust")
    published.run("verify")


def test_offline_keys_are_asked_for_in_time(published: App) -> None:
    published.put_away("root-2", "root-3")
    result = refresh(published.site, published.ring(), now=at(310), grace=GRACE)
    assert "root" not in result.signed
    assert "root expires in 55 days" in result.warnings[0]
    assert "2 of these keys are: root-1, root-2, root-3" in result.warnings[0]
    with pytest.raises(SigningError, match="root and targets expired"):
        refresh(published.site, published.ring(), now=at(370), grace=GRACE)


def test_refresh_needs_the_online_key(published: App) -> None:
    published.put_away("online")
    refresh(published.site, published.ring(), now=at(1), grace=GRACE)
    with pytest.raises(KeyNotFoundError, match="online"):
        refresh(published.site, published.ring(), now=at(5), grace=GRACE)


@pytest.mark.parametrize("role", ["stable", "beta", "alpha", "online"])
def test_rotated_key_and_old_clients(published: App, tmp_path: Path, role: str) -> None:
    client(published, tmp_path / "warm")
    published.run("root", "rotate", "--role", role)
    published.put_away(role)  # the old key is of no use any more
    published.release("v1.1.0")
    published.run("publish", "v1.1.0")
    assert client(published, tmp_path / "warm").releases[0].version == "1.1.0"
    assert client(published, tmp_path / "cold").releases[0].version == "1.1.0"
    assert f"{role}-2" in published.run("root", "show").output
    published.run("verify")


def test_rotated_key_may_keep_its_variable(published: App, monkeypatch: pytest.MonkeyPatch) -> None:
    published.run("root", "rotate", "--role", "stable")
    away = published.put_away("stable", "stable-2")
    monkeypatch.setenv("FEEDGEN_KEY_STABLE", (away / "stable-2.pem").read_text())
    published.release("v1.1.0")
    published.run("publish", "v1.1.0")


def test_all_root_keys_can_be_exchanged_one_by_one(published: App, tmp_path: Path) -> None:
    client(published, tmp_path / "warm")
    for number in (1, 2, 3):
        published.run("root", "rotate", f"root-{number}")
        published.put_away(f"root-{number}")
    assert client(published, tmp_path / "warm").releases
    assert client(published, tmp_path / "cold").releases
    output = published.run("root", "show").output
    assert "root-1 " not in output
    assert "root-6" in output
    published.run("root", "rotate", "--role", "beta")
    published.run("verify")


def test_signatures_are_collected(published: App, tmp_path: Path) -> None:
    away = published.put_away("root-2", "root-3")
    before = published.snapshot()
    output = published.run("root", "rotate", "--role", "stable").output
    assert "1 more on targets, by root-2 or root-3" in output
    assert published.snapshot() == before
    assert "Another change waits" in published.run("root", "rotate", "--role", "beta", code=2).output
    assert not (published.keys / "beta-2.pem").exists()
    assert "A change waits for signatures" in published.run("root", "show").output
    result = published.run("root", "sign", "--key", str(published.keys / "stable.pem"), code=1)
    assert "does not count" in result.output

    other = App(tmp_path / "other", tmp_path / "other-keys")  # another person, another machine
    shutil.copytree(published.folder, other.folder)
    other.keys.mkdir()
    output = other.run("root", "sign", "--keys", str(other.keys), "--key", str(away / "root-3.pem"), code=1).output
    assert "stable-2" in output  # all signatures are there; publishing needs keys of the other machine
    shutil.copytree(
        other.folder / ".feedgen" / "ceremony", published.folder / ".feedgen" / "ceremony", dirs_exist_ok=True
    )
    assert "The change is published" in published.run("root", "sign").output
    assert "nothing to sign" in published.run("root", "sign", code=2).output
    published.run("verify")


def test_discard(published: App) -> None:
    published.put_away("root-2", "root-3")
    published.run("root", "rotate", "--role", "stable")
    before = published.snapshot()
    assert "was dropped" in published.run("root", "discard").output
    assert "No change" in published.run("root", "discard").output
    assert published.snapshot() == before


def test_root_change_needs_old_and_new_threshold(published: App) -> None:
    published.run("root", "add-key", "--threshold", "3")
    assert "3 of 4" in published.run("root", "show").output
    published.put_away("root-1", "root-2")
    output = published.run("root", "remove-key", "root-1", "--threshold", "2").output
    assert "1 more on root, by root-1 or root-2" in output


def test_published_draft_of_another_time_is_refused(published: App) -> None:
    away = published.put_away("root-2", "root-3")
    published.run("root", "rotate", "--role", "stable")
    ceremony = published.folder / ".feedgen" / "ceremony"
    shutil.copytree(ceremony, published.folder / "kept")
    published.run("root", "discard")
    shutil.copytree(away, published.keys, dirs_exist_ok=True)
    published.run("root", "rotate", "--role", "beta")
    shutil.copytree(published.folder / "kept", ceremony, dirs_exist_ok=True)
    assert "is outdated" in published.run("root", "sign", code=1).output


@pytest.mark.parametrize("role", ["root", "online", "stable"])
def test_ceremony_killed_at_every_write(published: App, tmp_path: Path, role: str) -> None:
    number, done = 0, False
    while not done:
        number += 1
        copy = App(tmp_path / f"copy-{number}" / "repo", tmp_path / f"copy-{number}" / "keys")
        shutil.copytree(published.folder, copy.folder)
        shutil.copytree(published.keys, copy.keys)
        new = Ed25519PrivateKey.generate()
        write_key(copy.keys, "new", new, PASSPHRASE)
        ceremony = Ceremony(copy.site, copy.ring(), now=at(0), grace=GRACE)

        def edit(state: RepositoryState, new: Ed25519PrivateKey = new) -> Edit:
            return Edit(role, named(new.public_key(), "new"), members(state, role)[0][0].keyid)

        try:
            with killed_at(number, copy.folder / ".feedgen"):
                ceremony.change(edit)
            done = True
        except Killed:
            with contextlib.suppress(ConfigError):
                ceremony.sign()
            with contextlib.suppress(ConfigError):  # killed before the draft was there: ask again
                ceremony.change(edit)
        refresh(copy.site, copy.ring(), now=at(0), grace=GRACE)
        assert "new" in {key_name(key) for key in members(load(copy.site), role)[0]}
        assert client(copy, tmp_path / f"cold-{number}").releases
        if number % 5 == 0:
            copy.run("verify")
    assert number > 5


def test_interrupted_rotation_is_completed(published: App, tmp_path: Path) -> None:
    """The new root is out, and the process ended before snapshot and timestamp were signed with the new key."""
    client(published, tmp_path / "warm")
    before = published.snapshot()
    published.run("root", "rotate", "--role", "online")
    new = published.snapshot()
    shutil.rmtree(published.site)
    for name, data in {**before, "metadata/2.root.json": new["metadata/2.root.json"]}.items():
        (published.site / name).parent.mkdir(parents=True, exist_ok=True)
        (published.site / name).write_bytes(data)
    assert published.run("verify", code=1).output.count("Wrong") >= 1
    assert "snapshot, timestamp" in published.run("refresh").output
    assert client(published, tmp_path / "warm").releases
    assert client(published, tmp_path / "cold").releases
    assert published.snapshot()["root.json"] == new["metadata/2.root.json"]
    published.run("verify")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["remove-key", "nope"], 2, "Its keys are root-1"),
        (["remove-key", "stable", "--role", "stable"], 2, "would have 0 keys"),
        (["rotate"], 2, "root has several keys"),
        (["add-key", "--threshold", "9"], 2, "need 9 signatures"),
        (["add-key", "--name", "root-1"], 2, "already"),
        (["add-key", "--name", "No!"], 2, "cannot name a key"),
        (["add-key", "--role", "nightly"], 2, "nightly"),
        (["sign"], 2, "nothing to sign"),
        (["sign", "--key", "missing.pem"], 2, "missing.pem"),
    ],
)
def test_bad_requests(published: App, arguments: list[str], code: int, expected: str) -> None:
    before, keys = published.snapshot(), sorted(published.keys.iterdir())
    assert expected in published.run("root", *arguments, code=code).output
    assert (published.snapshot(), sorted(published.keys.iterdir())) == (before, keys)


def test_key_of_another_person(published: App, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = Ed25519PrivateKey.generate().public_key()
    path = tmp_path / "alice.pem"
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    published.run("root", "add-key", "--public-key", str(path), "--name", "alice")
    assert "alice" in published.run("root", "show").output
    path.write_bytes(b"rubbish")
    assert "not a public key" in published.run("root", "add-key", "--public-key", str(path), code=1).output


def test_metadata_is_compact_and_named(published: App) -> None:
    root = json.loads((published.site / "root.json").read_bytes())
    names = {key["x-tagship-name"] for key in root["signed"]["keys"].values()}
    assert names == {"root-1", "root-2", "root-3", "online"}
    assert b": " not in (published.site / "metadata" / "timestamp.json").read_bytes()
