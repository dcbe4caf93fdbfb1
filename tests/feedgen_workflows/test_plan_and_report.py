"""Decisions of the workflows: which keys, do the builds agree, and the one issue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feedgen.doctor.api import Answer
from feedgen.errors import BuildError, ConfigError, NotReproducibleError, PublishError
from feedgen.publish.catalog import Catalog
from feedgen.workflow.plan import agreed_package, operation_environment
from feedgen.workflow.report import failed_jobs, keep_alive, report
from updater.schema import Feed

GOLDEN = Path(__file__).parents[1] / "golden" / "formats" / "1.0" / "feed-one-release.json"


def feeds(version: str, *channels: str) -> dict[str, Feed]:
    text = GOLDEN.read_text()
    one = Feed.parse(text.encode(), "feed")
    from dataclasses import replace

    release = replace(one.releases[0], version=version)
    return {
        channel: Feed(one.app, channel, 1, datetime.now(UTC).replace(microsecond=0), (release,)) for channel in channels
    }


@pytest.mark.parametrize(
    ("version", "listed", "to", "environment"),
    [
        ("1.0.0", ("stable", "beta", "alpha"), "", "release-stable"),
        ("v1.0.0", ("stable", "beta", "alpha"), "", "release-stable"),
        ("1.1.0b1", ("beta", "alpha"), "", "release-pre"),
        ("1.1.0b1", ("beta", "alpha"), "stable", "release-stable"),
        ("1.1.0a1", ("alpha",), "beta", "release-pre"),
        ("1.1.0b1", ("stable", "beta", "alpha"), "", "release-stable"),
        ("1.1.0b1", (), "", "release-pre"),
        ("1.1.0", (), "", "release-stable"),
        ("", ("beta",), "", "release-stable"),
    ],
)
def test_which_environment_an_operation_needs(version: str, listed: tuple[str, ...], to: str, environment: str) -> None:
    found = feeds(version.removeprefix("v"), *listed) if version and listed else {}
    assert operation_environment(Catalog(found), version, to) == environment


@pytest.mark.parametrize(("version", "to"), [("one", ""), ("1.0.0", "nightly"), ("--help", "")])
def test_nonsense_is_refused(version: str, to: str) -> None:
    with pytest.raises(ConfigError):
        operation_environment(Catalog({}), version, to)


def test_builds_have_to_agree(tmp_path: Path) -> None:
    for runner in ("linux", "macos"):
        (tmp_path / runner).mkdir()
        (tmp_path / runner / "shop-1.0.0.zip").write_bytes(b"same")
    assert agreed_package([tmp_path]).name == "shop-1.0.0.zip"
    (tmp_path / "macos" / "shop-1.0.0.zip").write_bytes(b"other")
    with pytest.raises(NotReproducibleError, match="macos"):
        agreed_package([tmp_path])
    with pytest.raises(BuildError, match="No build"):
        agreed_package([tmp_path / "none"])


class Issues:
    """The issues of a repository, as far as the report uses them."""

    repository = "acme/shop"

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.refuse = 0

    def call(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        self.calls.append(f"{verb} {path}")
        if self.refuse:
            return Answer(self.refuse, {"message": "no"})
        if verb == "GET":
            return Answer(200, [issue for issue in self.issues if issue["state"] == "open"])
        if path == "/labels":
            return Answer(422, {"message": "already_exists"})
        if path == "/issues":
            self.issues.append({"number": len(self.issues) + 1, "state": "open", **(body or {})})
            return Answer(201, self.issues[-1])
        if verb == "PATCH":
            self.issues[int(path.rpartition("/")[2]) - 1].update(body or {})
        return Answer(204)

    def top(self, path: str) -> Answer:
        raise AssertionError(path)


def test_one_issue_from_trouble_to_all_well() -> None:
    api = Issues()
    assert report(api, "shop", [], run_url="").what == "none"
    assert report(api, "shop", ["timestamp expires"], run_url="https://x/1").what == "opened"
    assert report(api, "shop", ["timestamp expires"], run_url="https://x/2").what == "unchanged"
    assert report(api, "shop", ["timestamp expired"], run_url="https://x/3").what == "updated"
    assert len(api.issues) == 1
    assert "timestamp expired" in api.issues[0]["body"]
    assert report(api, "other", ["its own"], run_url="").number == 2
    assert report(api, "shop", [], run_url="https://x/4").what == "closed"
    assert [issue["state"] for issue in api.issues] == ["closed", "open"]
    assert report(api, "shop", ["again"], run_url="").number == 3


def test_a_refusal_names_the_permission() -> None:
    api = Issues()
    api.refuse = 403
    with pytest.raises(PublishError) as caught:
        report(api, "shop", ["x"], run_url="")
    assert "issues: write" in caught.value.hint
    assert not keep_alive(api, "refresh-feed.yml")
    assert api.calls[-1] == "PUT /actions/workflows/refresh-feed.yml/enable"


def test_failed_jobs() -> None:
    needs = {"refresh": {"result": "failure"}, "deploy": {"result": "skipped"}, "client-test": {"result": "success"}}
    assert failed_jobs(json.loads(json.dumps(needs))) == ["The job `refresh` ended with: failure."]
