"""The files of decisions: edits by hand, mistakes in them, and operations that were killed at any write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from feedgen.operations.edits import Edit, promote, yank
from tests.feedgen_operations.conftest import Published, moment
from tests.feedgen_publish.test_publish import Killed, killed_at

HEAD = 'schema = "1.0"\nversion = "1.0.0"\nchannel = "stable"\n'


def test_every_release_has_its_file(app: Published) -> None:
    assert app.file("1.0.0").read_text() == (
        "# What is decided about release 1.0.0; its bytes are not up for decision.\n"
        "# After an edit: 'feedgen diff' shows what would change for sites, 'feedgen apply' publishes it.\n"
        "\n"
        'schema = "1.0"\nversion = "1.0.0"\nchannel = "stable"\n'
        "critical = false\nstop = false\nhalted = false\nsecurity = []\n"
    )
    app.run("rollout", "set", "1.0.0", "2126-01-20T10:00:00Z=5", "2126-01-21T10:00:00Z=100")
    app.run("notes", "edit", "1.0.0", "--text", "# One\n\n- two")
    assert (
        app.file("1.0.0")
        .read_text()
        .endswith(
            "security = []\n"
            "\n"
            '[rollout]\nsalt = "1.0.0"\nsteps = [\n'
            '  {at = "2126-01-20T10:00:00Z", percent = 5},\n'
            '  {at = "2126-01-21T10:00:00Z", percent = 100},\n'
            "]\n"
            "\n"
            '[notes]\nmarkdown = """\n# One\n\n- two"""\n'
        )
    )


def test_an_edit_by_hand_takes_effect_when_it_is_applied(app: Published) -> None:
    edited = (
        HEAD + 'critical = true\nsecurity = ["CVE-2026-12345"]\ncohorts = [[0, 99]]\n\n[requires]\npython = ">=3.12"\n'
    )
    app.file("1.0.0").write_text(edited)
    before = app.snapshot()
    shown = app.run("diff").output
    assert "1.0.0: critical becomes true, was false  (in stable, beta, alpha)" in shown
    assert '1.0.0: security becomes ["CVE-2026-12345"]' in shown
    assert app.run("apply", "--dry-run").output == shown
    assert app.snapshot() == before
    assert "The edits are published" in app.run("apply").output
    release = app.seen().releases[0]
    assert (release.critical, release.security, release.cohorts) == (True, ("CVE-2026-12345",), ((0, 99),))
    assert release.requires.python == ">=3.12"
    assert app.file("1.0.0").read_text() == edited
    after = app.snapshot()
    assert "nothing changed" in app.run("apply").output
    assert app.snapshot() == after


def test_republish_publishes_the_edit_of_one_release(app: Published) -> None:
    for version in ("1.0.0", "1.4.0b2"):
        file = app.file(version)
        file.write_text(file.read_text().replace("critical = false", "critical = true"))
    assert "critical becomes true" in app.run("republish", "1.0.0", "--dry-run").output
    app.run("republish", "1.0.0")
    assert [release.critical for release in app.seen("beta").releases] == [False, True]
    assert "nothing changed" in app.run("republish", "1.0.0").output
    app.run("republish")
    assert [release.critical for release in app.seen("beta").releases] == [True, True]


def test_republish_after_the_store_moved(app: Published, tmp_path: Path) -> None:
    url = "https://files.acme.example/shop/"
    with (app.folder / "feedgen.toml").open("a") as file:
        file.write(f'store_url = "{url}"\n')
    store = tmp_path / "store"
    store.mkdir()
    assert "The store does not have" in app.run("republish", "1.0.0", "--store", str(store), code=1).output
    for path in (app.site / "packages").iterdir():
        shutil.copy(path, store)
    app.run("republish", "--store", str(store))
    assert [release.package.urls for release in app.seen("beta").releases] == [
        (f"{url}shop-1.4.0b2.zip",),
        (f"{url}shop-1.0.0.zip",),
    ]
    (store / "shop-1.0.0.zip").write_bytes(b"other")
    assert "has other bytes" in app.run("republish", "1.0.0", "--store", str(store), code=1).output


def test_an_operation_leaves_edits_of_people_alone(app: Published) -> None:
    file = app.file("1.0.0")
    file.write_text(file.read_text().replace("stop = false", "stop = true"))
    result = app.run("critical", "1.0.0")
    assert "says more" in result.output
    release = app.seen().releases[0]
    assert (release.critical, release.stop) == (True, False)
    assert "stop = true" in file.read_text()
    assert "critical = true" in file.read_text()
    app.release("v1.5.0")
    app.run("publish", "v1.5.0")
    assert not app.seen().releases[1].stop
    app.run("apply")
    assert app.seen().releases[1].stop


def test_a_translation_does_not_overwrite_an_edit_of_the_notes(app: Published) -> None:
    app.file("1.0.0").write_text(HEAD + '[notes]\nmarkdown = "in work"\n')
    app.run("notes", "edit", "1.0.0", "--lang", "de", "--text", "Neu")
    assert app.seen().releases[0].notes.markdown == ""
    app.run("apply")
    notes = app.seen().releases[0].notes
    assert (notes.markdown, notes.translations) == ("in work", {"de": "Neu"})


def test_a_release_is_prepared_before_it_is_published(app: Published) -> None:
    app.file("1.4.0").write_text(
        'version = "1.4.0"\nchannel = "beta"\ncritical = true\n\n'
        '[rollout]\nsteps = [{at = "2026-01-01T00:00:00Z", percent = 0}]\n'
    )
    assert "is not published yet" in app.run("apply").output
    assert "says beta, and --channel alpha" in app.run("publish", "v1.4.0", "--channel", "alpha", code=2).output
    app.run("publish", "v1.4.0")
    assert app.seen().release("1.4.0") is None
    release = app.seen("beta").releases[0]
    assert (release.version, release.critical) == ("1.4.0", True)
    assert "held back: the rollout is at 0 %" in app.selects("1.0.0", "beta").reasons[0]
    assert "nothing would change" in app.run("diff").output


def test_lost_files_come_back(app: Published) -> None:
    shutil.rmtree(app.site / "releases")
    assert "nothing would change" not in app.run("apply", "--dry-run").output
    before = app.snapshot()
    app.run("critical", "1.0.0")
    assert app.file("1.0.0").is_file()
    app.run("critical", "1.0.0", "--off")
    app.run("apply")
    assert set(before) < set(app.snapshot())
    assert app.file("1.4.0b2").is_file()
    assert "nothing changed" in app.run("apply").output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("critical = yes\n", "line 4"),
        ("critcal = true\n", "releases/1.0.0.toml:4: critcal: unknown key; did you mean 'critical'?"),
        ("critical = 1\n", "releases/1.0.0.toml:4: critical: must be true or false"),
        ('halted_at = "2026-01-01T00:00:00Z"\n', "1.0.0.toml:4: halted_at: stands there although"),
        ("[yanked]\n", "1.0.0.toml:4: yanked.reason: is missing"),
        ('[yanked]\nreason = "x"\nat = "today"\n', "1.0.0.toml:6: yanked.at: must be a UTC time"),
        ("[rollout]\n", "1.0.0.toml:4: rollout.steps: is missing"),
        (
            '[rollout]\nsteps = [\n  {at = "2026-01-02T00:00:00Z", percent = 5},\n'
            '  {at = "2026-01-01T00:00:00Z", percent = 9},\n]\n',
            "1.0.0.toml:5: rollout.steps: times must rise",
        ),
        (
            '[rollout]\nsteps = [{at = "2026-01-02T00:00:00Z", percent = 9},\n'
            ' {at = "2026-01-03T00:00:00Z", percent = 5}]\n',
            "percentages must not fall",
        ),
        ('[rollout]\nsteps = [{at = "2026-01-02T00:00:00Z", percent = 101}]\n', "must be from 0 to 100"),
        ('[rollout]\nsteps = [{at = "2026-01-02T00:00:00Z", percent = 1, who = 1}]\n', "unknown key"),
        ("cohorts = [[5, 1]]\n", "1.0.0.toml:4: cohorts[0]: must be [first, last]"),
        ('[requires]\npython = "three"\n', "1.0.0.toml:5: requires.python: 'three' is not a version specifier"),
        ('[requires]\nfrom = "1.1.0"\n', "1.0.0.toml:5: requires.from: is 1.1.0, which is newer"),
        ('[notes]\nurl = "ftp://x"\n', "1.0.0.toml:5: notes.url: must be an https URL"),
        ('[notes.translations]\nno_such = "x"\n', "is not a language tag"),
    ],
)
def test_mistakes_are_named_by_line_and_key(app: Published, text: str, expected: str) -> None:
    app.file("1.0.0").write_text(HEAD + text)
    before = app.snapshot()
    for command in (["apply"], ["critical", "1.0.0"]):
        result = app.run(*command, code=2)
        assert expected in result.output
        assert "What to do" in result.output
    assert app.snapshot() == before


def test_all_mistakes_at_once(app: Published) -> None:
    app.file("1.0.0").write_text(HEAD.replace("stable", "beta"))
    app.file("1.4.0b2").write_text(HEAD.replace("1.0.0", "1.4.0") + "stop = 1\n")
    (app.site / "releases" / "one.toml").write_text("")
    (app.site / "releases" / "1.5.0.toml").write_bytes(b"\xff")
    output = app.run("apply", code=2).output
    for expected in (
        "which it cannot leave",
        "is 1.4.0, but the file is named after 1.4.0b2",
        "stop: must be",
        "one.toml",
    ):
        assert expected in output
    assert "1.5.0.toml" in output
    # A mistake in one file does not keep another release from being withdrawn.
    assert "1.4.0b2.toml" in app.run("yank", "1.4.0b2", "--reason", "x", code=2).output
    app.file("1.4.0b2").unlink()
    app.run("yank", "1.4.0b2", "--reason", "loses orders")


def test_what_an_attacker_writes_there_is_not_signed_by_the_way(app: Published) -> None:
    app.run("yank", "1.0.0", "--reason", "loses orders")
    app.file("1.0.0").write_text(HEAD)
    app.run("critical", "1.4.0b2")
    app.run("publish", "v1.4.0")
    app.run("refresh")
    assert app.seen().releases[1].yanked is not None


@pytest.mark.parametrize(
    ("edit", "version", "check"),
    [
        (lambda: promote("stable"), "1.4.0b2", lambda app: app.seen().releases[0].version == "1.4.0b2"),
        (lambda: yank("loses orders", moment()), "1.0.0", lambda app: app.seen().releases[-1].yanked is not None),
    ],
    ids=["promote", "yank"],
)
def test_killed_at_every_write(
    app: Published, tmp_path: Path, edit: Callable[[], Edit], version: str, check: Callable[[Published], bool]
) -> None:
    app.seen("beta")
    number, done, start = 0, False, moment() - timedelta(hours=1)
    while not done:
        number += 1
        copy = app.copy(tmp_path / f"copy-{number}")
        try:
            with killed_at(number, copy.site):
                copy.operator(start).edit(version, edit())
            done = True
        except Killed:
            pass
        copy.seen("beta")  # somebody looks before the publisher comes back
        copy.operator(start + timedelta(minutes=1)).edit(version, edit())
        assert check(copy), number
        assert not [name for name in copy.snapshot() if "feedgen-tmp" in name]
        before = copy.snapshot()
        last = copy.operator(start + timedelta(minutes=2)).edit(version, edit())
        assert not last.changed
        assert not last.written
        assert not last.remarks
        assert not copy.operator().diff().changes
        assert copy.snapshot() == before
        shutil.rmtree(copy.folder.parent)
    assert number > 10
