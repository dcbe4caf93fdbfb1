"""Bad documents: every problem at once, each with its place; a newer major is refused with advice."""

from __future__ import annotations

import copy
import json

import pytest

from tests.schema.documents import GOLDEN, JSON_DOCUMENTS, TOML_DOCUMENTS, golden_json
from updater.errors import ConfigError, SchemaError, UnsupportedSchemaError
from updater.schema import Feed, Manifest, PublisherConfig, SiteConfig, VersionFile

FULL = json.loads((GOLDEN / "feed-full.json").read_bytes())
MANIFEST = json.loads((GOLDEN / "update_manifest.json").read_bytes())


def problems(kind, document):
    """What is wrong, by JSON path."""
    with pytest.raises(SchemaError) as caught:
        JSON_DOCUMENTS[kind].parse(json.dumps(document).encode(), "the document")
    assert str(caught.value).startswith("the document has ")
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_one_error_lists_every_problem_of_a_feed():
    feed = copy.deepcopy(FULL)
    feed["app"] = "Shop!"
    feed["sequence"] = 0
    feed["generated"] = "2026-02-30T00:00:00Z"
    feed["releases"][0]["cohorts"] = [[0, 99], [5, 4], [True, 2]]
    feed["releases"][1]["version"] = "1.1"
    feed["releases"][1]["package"]["sha256"] = "A" * 64
    feed["releases"][1]["package"]["tail"]["size"] = 1
    feed["releases"][1]["rollout"]["steps"].reverse()
    feed["releases"][1]["rollout"]["steps"][0]["percent"] = 101
    feed["releases"][1]["deltas"][0]["urls"] = []
    feed["releases"][2]["version"] = "1.1"
    del feed["releases"][2]["manifest"]
    assert set(problems("feed", feed)) == {
        "$.app",
        "$.sequence",
        "$.generated",
        "$.releases[0].cohorts[1]",
        "$.releases[0].cohorts[2]",
        "$.releases[1].package.sha256",
        "$.releases[1].package.tail.size",
        "$.releases[1].rollout.steps",
        "$.releases[1].rollout.steps[0].percent",
        "$.releases[1].deltas[0].urls",
        "$.releases[2].version",
        "$.releases[2].manifest",
    }


def test_one_error_lists_every_problem_of_a_manifest():
    manifest = copy.deepcopy(MANIFEST)
    manifest["channel"] = "stabel"
    manifest["files"][0]["path"] = "../etc/passwd"
    manifest["files"][1]["action"] = "remove"
    manifest["files"][2]["mode"] = "0777"
    manifest["files"][3]["symlink"] = "../../outside"
    manifest["files"][4]["size"] = -1
    manifest["files"].append("not an object")
    found = problems("manifest", manifest)
    assert "did you mean 'stable'" in found["$.channel"]
    assert {f"$.files[{index}]" for index in range(5)} <= {path.rpartition(".")[0] for path in found}
    assert found["$.files[7]"] == "must be an object, is a string"


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["Readme", "README"], "'README' and 'Readme' collide"),
        (["stra\u00dfe", "strasse"], "collide"),
        (["\u00e9", "\u00c9"], "collide"),
        (["a", "a"], "'a' stands twice"),
        (["a", "a/b"], "'a' is a file, but 'a/b' needs it to be a directory"),
        (["A", "a/b/c"], "'A' is a file, but 'a/b/c' needs it to be a directory"),
    ],
)
def test_colliding_paths(paths, message):
    manifest = copy.deepcopy(MANIFEST)
    entry = manifest["files"][0]
    manifest["files"] = [{**entry, "path": path} for path in paths]
    assert message in problems("manifest", manifest)["$.files"]


def test_delete_entries_may_rename_by_case_but_not_contradict():
    manifest = copy.deepcopy(MANIFEST)
    entry = manifest["files"][0]
    gone = {"action": "delete", "path": "README"}
    manifest["files"] = [gone, {**entry, "path": "Readme"}]
    assert Manifest.parse(json.dumps(manifest).encode()).deleted == ("README",)
    manifest["files"] = [gone, gone, {**entry, "path": "README"}]
    assert set(problems("manifest", manifest)) == {"$.files", "$.files[1].path"}


@pytest.mark.parametrize("kind", JSON_DOCUMENTS)
@pytest.mark.parametrize("major", ["2.0", "10.3", "999999.0"])
def test_a_newer_major_is_refused_with_advice_and_nothing_else(kind, major):
    with pytest.raises(UnsupportedSchemaError) as caught:
        JSON_DOCUMENTS[kind].parse(json.dumps({"schema": major, "everything": "else is unknown"}).encode())
    assert len(caught.value.problems) == 1
    assert "pip install --upgrade tagship" in caught.value.hint


@pytest.mark.parametrize("kind", TOML_DOCUMENTS)
def test_a_newer_major_of_a_toml_file_is_refused_with_advice(kind):
    with pytest.raises(ConfigError) as caught:
        TOML_DOCUMENTS[kind].parse('schema = "2.0"\n[whatever]\nx = 1\n')
    assert "pip install --upgrade tagship" in caught.value.hint


@pytest.mark.parametrize("kind", JSON_DOCUMENTS)
@pytest.mark.parametrize("schema", ["0.9", "1", "1.0.0", "v1.0", "01.0", " 1.0", "1.0\n", "٢.0", "1.", "9999999.0"])
def test_other_schema_values_are_plain_problems(kind, schema):
    assert "$.schema" in problems(kind, {**golden_json(kind)[0], "schema": schema})


def test_optional_members_have_their_documented_defaults():
    feed = Feed.parse((GOLDEN / "feed-one-release.json").read_bytes())
    release = feed.releases[0]
    assert (release.critical, release.stop, release.halted, release.security, release.deltas) == (
        *(False, False, False),
        *((), ()),
    )
    assert (release.rollout, release.yanked, release.cohorts, release.migrations, release.container) == (None,) * 5
    bare = json.loads((GOLDEN / "version.json").read_bytes())
    del bare["component"], bare["commit"]
    found = VersionFile.parse(json.dumps(bare).encode())
    assert (found.component, found.commit) == ("core", None)
    assert PublisherConfig.parse((GOLDEN / "feedgen-minimal.toml").read_text()) == PublisherConfig(
        app="shop", base_url="https://acme.github.io/shop/"
    )
    site = SiteConfig.parse((GOLDEN / "updater-minimal.toml").read_text())
    assert site == SiteConfig(feed_url="https://acme.github.io/shop/stable.json")


TYPO = """\
schema = "1.0"

[feed]
url = "https://acme.example/stable.json"

[backup]
max_backup = 3

[database]
kind = "sqlit"

[helth]
url = "http://127.0.0.1/"
"""


def test_a_toml_error_names_file_line_key_and_the_nearest_valid_key():
    with pytest.raises(ConfigError) as caught:
        SiteConfig.parse(TYPO, "/srv/shop/updater.toml")
    text = str(caught.value)
    assert "/srv/shop/updater.toml has 3 problems" in text
    assert "/srv/shop/updater.toml:7: backup.max_backup: unknown key; did you mean 'max_backups'?" in text
    assert "/srv/shop/updater.toml:10: database.kind: must be one of" in text
    assert "did you mean 'sqlite'?" in text
    assert "/srv/shop/updater.toml:12: helth: unknown key; did you mean 'health'?" in text
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[feed]\nurl = "stable.json"\n', "updater.toml:2: feed.url: must be an absolute URL"),
        ("feed = 1\n", "updater.toml:1: feed: must be an object, is a number"),
        ('feed.url = 3\n[policy]\nedited = "x"\n', "updater.toml:1: feed.url: must be a string"),
        ("[feed]\n# nothing\n", "updater.toml:1: feed.url: is missing"),
        ("", "updater.toml: feed.url: is missing"),
        ("[feed]\nurl = 1979-05-27\n", "updater.toml:2: feed.url: must be a string, is a date or time"),
        ("[commands]\nallow = [\n 'a',\n 3]\n", "updater.toml:2: commands.allow[1]: must be a string, is a number"),
        ("[commands]\nenv = {'A=B' = 'x'}\n", "updater.toml:2: commands.env.A=B: 'A=B' cannot be the name"),
        ("[health]\ntimeout = nan\n", "updater.toml:2: health.timeout: must be a number from 0.1"),
        ("[health]\ntimeout = inf\n", "updater.toml:2: health.timeout: must be a number from 0.1"),
        ("[health]\r\ntimeout = 0\r\n", "updater.toml:2: health.timeout: must be a number from 0.1"),
        ("[restart]\nsignal = 'HUP'\n", "updater.toml:1: restart.pidfile: is missing: signal and pidfile"),
        ("[database]\nkind = 'sqlite'\n", "updater.toml:1: database.path: is missing"),
        ("[feed]\nurl = https://x\n", "updater.toml is not valid TOML: Invalid value (at line 2, column 7)"),
    ],
)
def test_toml_errors(text, where):
    with pytest.raises(ConfigError) as caught:
        SiteConfig.parse(text)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            '[publish]\nbase_url = "https://acme.github.io/shop"\n',
            "feedgen.toml:2: publish.base_url: must be an absolute",
        ),
        ('[publish]\nstore_url = "packages/"\n', "feedgen.toml:2: publish.store_url: must be an absolute"),
        ("[build]\noutputs = ['x']\n", "feedgen.toml:2: build.outputs: has no effect without a command"),
        ("[app]\nnmae = 'shop'\n", "feedgen.toml:2: app.nmae: unknown key; did you mean 'name'?"),
        ("[release]\nfrom = '1.0-beta'\n", "feedgen.toml:2: release.from: '1.0-beta' is not a version"),
    ],
)
def test_publisher_toml_errors(text, where):
    with pytest.raises(ConfigError) as caught:
        PublisherConfig.parse(text)
    assert where in str(caught.value)
