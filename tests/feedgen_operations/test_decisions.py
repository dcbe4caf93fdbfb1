"""Every operation as a site sees it; twice; as a dry run; and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from feedgen.cli.check import local_transport
from feedgen.config import load_project
from tests.feedgen_operations.conftest import Published, later, moment
from updater import Updater
from updater.schema import format_time

OPERATIONS = [
    ("promote", "1.4.0b2", "--to", "stable"),
    ("yank", "1.0.0", "--reason", "loses orders"),
    ("halt", "1.0.0"),
    ("critical", "1.0.0"),
    ("stop", "1.0.0"),
    ("rollout", "set", "1.0.0", "20"),
    ("rollout", "set", "1.0.0", "2126-01-20T10:00:00Z=5", "2126-01-21T10:00:00Z=100"),
    ("rollout", "ramp", "1.0.0", "--over", "7d"),
    ("notes", "edit", "1.0.0", "--text", "# New"),
    ("notes", "edit", "1.0.0", "--lang", "de", "--text", "# Neu"),
]


@pytest.mark.parametrize("command", OPERATIONS, ids=" ".join)
def test_dry_run_then_for_good_then_again(app: Published, command: tuple[str, ...]) -> None:
    before = app.snapshot()
    planned = app.run(*command, "--dry-run").output
    assert "Would change for sites" in planned
    assert "Nothing was written" in planned
    assert app.snapshot() == before
    done = app.run(*command).output
    assert "Checking the site as a client" in done
    assert "Now upload" in done
    after = app.snapshot()
    assert after != before
    assert "nothing changed" in app.run(*command).output
    assert "nothing would change" in app.run(*command, "--dry-run").output
    assert app.snapshot() == after
    assert "nothing would change" in app.run("diff").output
    app.run("verify")


def test_only_the_feeds_that_change_are_signed(app: Published) -> None:
    app.put_away("stable")
    app.run("critical", "1.4.0b2")
    assert app.seen("beta").releases[0].critical
    before = app.snapshot()
    assert "FEEDGEN_KEY_STABLE" in app.run("critical", "1.0.0", code=1).output
    assert app.snapshot() == before


# promote


def test_a_stable_site_installs_a_promoted_beta_and_goes_on_to_the_release(app: Published, tmp_path: Path) -> None:
    site = tmp_path / "shop"
    app.install(site)
    updater = Updater(site, transport=local_transport(load_project(app.folder).config, app.site, None))
    package = (app.site / "packages" / "shop-1.4.0b2.zip").read_bytes()
    app.run("promote", "1.4.0b2", "--to", "stable")
    assert (app.site / "packages" / "shop-1.4.0b2.zip").read_bytes() == package
    assert [release.version for release in app.seen().releases] == ["1.4.0b2", "1.0.0"]
    updater.install(updater.plan(automatic=True))
    assert json.loads((site / "version.json").read_bytes())["version"] == "1.4.0b2"
    assert "1.4.0b2 is the newest of the stable channel" in updater.check().reasons[0]
    app.run("publish", "v1.4.0")
    updater.install(updater.plan(automatic=True))
    assert json.loads((site / "version.json").read_bytes())["version"] == "1.4.0"
    app.run("verify")


def test_the_tag_of_a_promoted_release_can_be_published_again(app: Published) -> None:
    app.run("promote", "1.4.0b2", "--to", "stable")
    before = app.snapshot()
    assert "nothing changed" in app.run("publish", "v1.4.0-beta.2").output
    assert app.snapshot() == before


def test_the_bytes_of_a_release_are_tried_in_beta_first(app: Published) -> None:
    app.run("publish", "v1.4.0", "--channel", "beta")
    assert app.selects("1.0.0").release is None
    tried = app.selects("1.0.0", "beta").release
    app.run("promote", "1.4.0", "--to", "stable")
    assert app.selects("1.0.0").release == tried
    assert "nothing changed" in app.run("publish", "v1.4.0", "--channel", "beta").output


def test_a_rollout_is_drawn(app: Published) -> None:
    app.run("rollout", "ramp", "1.0.0", "--over", "7d", "--start", "10")
    drawn = app.run("rollout", "simulate", "1.0.0", "--sites", "500").output
    assert "Rollout of 1.0.0 in 500 sites" in drawn and "100.0 %" in drawn and "█" in drawn
    found = json.loads(app.run("rollout", "simulate", "1.0.0", "--sites", "500", "--json").output)
    assert found["moments"][-1]["installed"] == 100
    assert found["moments"][0]["installed"] < 20


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("promote", "1.0.0", "--to", "beta"), "is in the stable channel already"),
        (("promote", "1.4.0b2", "--to", "alpha"), "is in the beta channel already"),
        (("promote", "1.4.0", "--to", "stable"), "No feed lists a release 1.4.0"),
        (("yank", "9.9", "--reason", "x"), "No feed lists a release 9.9"),
        (("yank", "1.0.0", "--reason", "  "), "needs a reason"),
        (("halt", "one"), "is not a version"),
        (("rollout", "set", "1.0.0", "2026-01-20T10:00:00Z=5", "2026-01-19T10:00:00Z=9"), "times must rise"),
        (("rollout", "set", "1.0.0", "2026-01-20T10:00:00Z=5", "2026-01-20T10:00:00Z=9"), "times must rise"),
        (("rollout", "set", "1.0.0", "2026-01-20T10:00:00Z=50", "2026-01-21T10:00:00Z=9"), "must not fall"),
        (("rollout", "set", "1.0.0", "101"), "is not a step"),
        (("rollout", "set", "1.0.0", "2026-01-20T10:00:00Z"), "has no percentage"),
        (("rollout", "set", "1.0.0", "2026-01-20T10:00:00Z=x"), "is not a percentage"),
        (("rollout", "ramp", "1.0.0", "--over", "7"), "is not a duration"),
        (("rollout", "ramp", "1.0.0", "--over", "7d", "--start", "0"), "cannot start at 0"),
        (("rollout", "show", "9.9"), "No feed lists"),
        (("notes", "edit", "1.0.0", "--text", "x", "--lang", "no_such"), "is not a language tag"),
        (("notes", "edit", "1.0.0", "--text", "x", "--file", "-"), "not both"),
        (("republish", "9.9"), "No feed lists"),
        (("publish", "v1.4.0-beta.3", "--channel", "stable"), "no tag"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_refusals(app: Published, command: tuple[str, ...], expected: str) -> None:
    before = app.snapshot()
    result = app.run(*command, code=None)
    assert result.exit_code in (1, 2)
    assert expected in result.output
    assert app.snapshot() == before


def test_a_withdrawn_release_is_not_promoted(app: Published) -> None:
    app.run("yank", "1.4.0b2", "--reason", "loses orders")
    assert "is withdrawn (loses orders)" in app.run("promote", "1.4.0b2", "--to", "stable", code=1).output


def test_a_beta_is_not_published_into_stable_at_once(app: Published) -> None:
    app.release("v1.5.0-beta.1")
    assert "feedgen promote 1.5.0b1" in app.run("publish", "v1.5.0-beta.1", "--channel", "stable", code=2).output


# withdraw, halt, marks


def test_yank_and_unyank(app: Published) -> None:
    app.run("publish", "v1.4.0")
    app.run("yank", "v1.4.0", "--reason", "loses orders")
    assert any("withdrawn by its maintainer (loses orders)" in reason for reason in app.selects("1.0.0").reasons)
    assert "The installed 1.4.0 was withdrawn" in app.selects("1.4.0").reasons[0]
    refused = app.run("yank", "1.4.0", "--reason", "something else", code=1).output
    assert "is withdrawn already (loses orders)" in refused
    assert "feedgen apply" in refused
    app.run("unyank", "1.4.0")
    selected = app.selects("1.0.0").release
    assert selected is not None
    assert selected.version == "1.4.0"
    assert "nothing changed" in app.run("unyank", "1.4.0").output


def test_halt_and_resume(app: Published) -> None:
    app.run("publish", "v1.4.0")
    app.run("halt", "1.4.0")
    assert "1.4.0: its rollout is halted." in app.selects("1.0.0").reasons
    app.run("resume", "1.4.0")
    assert app.selects("1.0.0").release is not None
    assert "nothing changed" in app.run("resume", "1.4.0").output
    assert "halted_at" not in app.seen().releases[0].extra


def test_a_schedule_stands_still_while_halted(app: Published) -> None:
    from feedgen.operations.edits import halt, ramp, resume
    from feedgen.operations.schedule import Ramp, percent_at

    start = moment() - timedelta(days=5)
    app.operator(start).edit("1.0.0", ramp(Ramp(timedelta(days=5)), start))
    app.operator(start + timedelta(days=1.5)).edit("1.0.0", halt(start + timedelta(days=1.5)))
    now = moment()
    app.operator(now).edit("1.0.0", resume(now))
    state = app.operator().state("1.0.0")
    assert percent_at(state.rollout, now) == 10
    assert state.rollout is not None
    assert percent_at(state.rollout, now + timedelta(days=0.6)) == 20
    assert percent_at(state.rollout, now + timedelta(days=3.6)) == 100


def test_critical_and_stop(app: Published) -> None:
    for tag in ("v1.4.0", "v1.5.0"):
        if tag == "v1.5.0":
            app.release(tag)
        app.run("publish", tag)
    app.run("critical", "1.5.0")
    selected = app.selects("1.0.0")
    assert selected.reasons == ("1.5.0 is the newest critical release this site can go to from 1.0.0.",)
    app.run("stop", "1.4.0")
    selected = app.selects("1.0.0")
    assert selected.release is not None
    assert selected.release.version == "1.4.0"
    app.run("stop", "1.4.0", "--off")
    app.run("critical", "1.5.0", "--off")
    assert "nothing changed" in app.run("critical", "1.5.0", "--off").output
    assert app.selects("1.0.0").reasons == ("1.5.0 is the newest release this site can go to from 1.0.0.",)


# rollout


def test_rollout_as_sites_see_it(app: Published) -> None:
    app.run("publish", "v1.4.0")
    app.run("rollout", "set", "1.4.0", "20%")

    def reached(hours: float) -> int:
        feed, now = app.seen(), later(hours=hours)
        from updater.selection import select

        chosen = (select(feed, "1.0.0", site_id=str(n), now=now, python="3.12", automatic=True) for n in range(300))
        return sum(selection.release is not None for selection in chosen)

    assert 30 < reached(0) < 90
    held = app.selects("1.0.0", site_id="3").reasons
    assert held
    app.run("rollout", "ramp", "1.4.0", "--over", "4d", "--start", "20")
    assert 30 < reached(0.01) < 90
    assert reached(24 * 5) == 300
    shown = app.run("rollout", "show", "1.4.0").output
    assert "20 %" in shown
    assert "100 %" in shown
    assert "reach 20 % of the sites now" in shown
    assert json.loads(app.run("rollout", "show", "1.4.0", "--json").output)["percent"] == 20
    assert "goes on" not in app.run("rollout", "set", "1.4.0", "100").output
    assert app.seen().releases[0].rollout is None
    assert "reach 100 %" in app.run("rollout", "show", "1.4.0").output


def test_those_for_whom_it_is_critical_need_not_wait(app: Published) -> None:
    app.run("publish", "v1.4.0")
    app.run("rollout", "set", "1.4.0", "0")
    app.run("critical", "1.4.0")

    def reached() -> bool:
        from updater.selection import select

        found = select(app.seen(), "1.0.0", site_id="1", now=later(hours=0.1), python="3.12", automatic=True)
        return found.release is not None

    assert not reached()
    app.run("rollout", "set", "1.4.0", "0", "--critical-at-once")
    assert reached()
    assert "do not wait" in app.run("rollout", "show", "1.4.0").output
    app.run("rollout", "ramp", "1.4.0", "--over", "4d", "--start", "1")  # as before
    assert reached()
    app.run("rollout", "ramp", "1.4.0", "--over", "4d", "--start", "1", "--critical-in-turn")
    assert not reached()


def test_a_ramp_does_not_begin_below_what_is_reached(app: Published) -> None:
    app.run("rollout", "set", "1.0.0", "50")
    assert "reaches 50 % of the sites already" in app.run("rollout", "ramp", "1.0.0", "--over", "7d", code=1).output


# notices


def test_notices_are_published_changed_and_taken_back(app: Published) -> None:
    add = ("advisory", "add", "CVE-2026-1", "--affects", "<1.4", "--severity", "high", "--title", "orders leak")
    assert "Would change" in app.run(*add, "--dry-run").output
    assert app.seen().advisories == ()
    before = app.seen().sequence
    app.run(*add, "--workaround", "Turn it off.", "--url", "https://acme.example/cve")
    [advisory] = app.seen().advisories
    assert (advisory.id, advisory.severity, advisory.workaround) == ("CVE-2026-1", "high", "Turn it off.")
    assert app.seen().sequence == before + 1
    app.run(*add[:-1], "orders leak badly")
    [changed] = app.seen().advisories
    assert (changed.title, changed.published) == ("orders leak badly", advisory.published)
    assert "nothing changed" in app.run(*add[:-1], "orders leak badly").output
    app.run("advisory", "end-of-life", "<1", "2027-01-31", "--message", "Move on.")
    assert [(end.affected, end.message) for end in app.seen().end_of_life] == [("<1", "Move on.")]
    listed = app.run("advisory", "list").output
    assert "orders leak badly" in listed
    assert "2027-01-31" in listed
    app.run("publish", "v1.4.0")  # what is told outlives the next release
    assert len(app.seen().advisories) == 1
    app.run("advisory", "remove", "CVE-2026-1")
    app.run("advisory", "end-of-life", "<1", "--off")
    assert (app.seen().advisories, app.seen().end_of_life) == ((), ())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "a b", "--affects", "<1", "--severity", "low", "--title", "x"), "letters, digits"),
        (("add", "X-1", "--affects", "1.0", "--severity", "low", "--title", "x"), "compare versions"),
        (("add", "X-1", "--affects", "<1", "--severity", "low", "--title", "a\nb"), "one line"),
        (("end-of-life", "<1", "soon"), "not a day"),
    ],
)
def test_notices_that_make_no_sense(app: Published, words: tuple[str, ...], said: str) -> None:
    assert said in app.run("advisory", *words, code=2 if "one line" not in said else 1).output
    assert app.seen().advisories == ()


# notes


def test_notes(app: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run("notes", "edit", "1.0.0", "--text", '# Better\n\n- "quoted" \\o/ and a """ row')
    app.run("notes", "edit", "1.0.0", "--lang", "de", "--text", "# Besser")
    notes = app.seen().releases[0].notes
    assert notes.markdown == '# Better\n\n- "quoted" \\o/ and a """ row'
    assert notes.translations == {"de": "# Besser"}
    assert app.run("notes", "show", "1.0.0", "--lang", "de").output == "# Besser\n"
    app.run("notes", "edit", "1.0.0", "--lang", "de", "--text", "")
    assert app.seen().releases[0].notes.translations == {}
    path = app.folder / "notes.md"
    path.write_text("From a file\n")
    app.run("notes", "edit", "1.0.0", "--file", str(path))
    assert app.seen().releases[0].notes.markdown == "From a file"
    monkeypatch.setattr("click.edit", lambda text, extension: f"{text}, edited")
    app.run("notes", "edit", "1.0.0")
    assert app.seen().releases[0].notes.markdown == "From a file, edited"
    monkeypatch.setattr("click.edit", lambda text, extension: None)
    assert "not changed" in app.run("notes", "edit", "1.0.0").output
    app.run("verify")


# looking


def test_list(app: Published) -> None:
    app.run("critical", "1.4.0b2")
    app.run("yank", "1.0.0", "--reason", "loses orders")
    shown = app.run("list").output
    assert "beta, alpha" in shown
    assert "withdrawn: loses orders" in shown
    rows = json.loads(app.run("list", "--json").output)["releases"]
    assert [(row["version"], row["channels"], row["critical"]) for row in rows] == [
        ("1.4.0b2", ["beta", "alpha"], True),
        ("1.0.0", ["stable", "beta", "alpha"], False),
    ]
    text = app.file("1.0.0").read_text()
    app.file("1.0.0").write_text(text.replace("stop = false", "stop = true"))
    assert "edited: stop" in app.run("list").output


def test_diff_of_a_tag(app: Published) -> None:
    before = app.snapshot()
    assert "1.4.0: is listed  (in stable, beta, alpha)" in app.run("diff", "v1.4.0").output
    assert "nothing would change" in app.run("diff", "v1.0.0").output
    assert app.snapshot() == before


def test_prune(app: Published) -> None:
    app.run("critical", "1.0.0")
    before = app.snapshot()
    planned = app.run("prune", "--dry-run").output
    assert "metadata/2.stable.json" in planned
    assert app.snapshot() == before
    assert "Nothing is superseded" in app.run("prune", "--older-than", "1d").output
    assert "Removed" in app.run("prune").output
    left = set(app.snapshot())
    assert "metadata/2.stable.json" not in left
    assert {"metadata/1.root.json", "packages/shop-1.0.0.zip"} <= left
    assert len([name for name in left if name.startswith("feeds/")]) == 3
    assert "Nothing is superseded" in app.run("prune").output
    app.run("verify")


def test_tag_prefixes_of_a_monorepo(app: Published) -> None:
    text = (app.folder / "feedgen.toml").read_text().replace('# tag_prefix = "v" ', 'tag_prefix = "shop-v" ')
    app.release("shop-v2.0.0-rc.1", **{"feedgen.toml": text})
    app.git("tag", "blog-v3.0.0")
    app.run("publish", "shop-v2.0.0-rc.1")
    for command in (
        ["promote", "shop-v2.0.0-rc.1", "--to", "stable"],
        ["halt", "2.0.0rc1"],
        ["republish", "2.0.0-rc.1"],
    ):
        app.run(*command)
    assert app.seen().releases[0].halted
    assert "is not 'shop-v'" in app.run("publish", "blog-v3.0.0", code=1).output
    assert format_time(app.seen().releases[0].published)
