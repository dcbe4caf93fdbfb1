"""``feedgen doctor``: a repository in order, and everything that can be wrong with it, one by one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feedgen.doctor.api import repository_api
from feedgen.doctor.github import GitHubChecks
from feedgen.doctor.model import Finding
from feedgen.workflow.callers import Setup
from feedgen.workflow.plan import ENVIRONMENTS
from feedgen.workflow.report import keep_alive, report
from tests.feedgen_workflows.conftest import Hosted
from tests.support.github import FakeGitHub, Token
from tests.support.github.repository import blank
from updater.schema import PublisherConfig

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
URL = "https://acme.github.io/shop/"
READS = ("actions", "administration", "contents", "environments", "metadata", "pages", "secrets")
WRITES = {"issues": "write", "actions": "write"}


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A repository in which everything is as it should be."""
    with FakeGitHub() as fake:
        fake.tokens["ghp_sesame"] = Token(permissions=dict.fromkeys(READS, "read") | WRITES)
        fake.repo.immutable_releases = True
        fake.repo.settings |= settings(fake)
        monkeypatch.setenv("GITHUB_API_URL", fake.api_url)
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_sesame")
        yield fake
        assert fake.violations == []


def settings(fake: FakeGitHub) -> dict[str, Any]:
    made: dict[str, Any] = {
        "pages": {
            **blank(fake, "page"),
            "html_url": URL,
            "build_type": "legacy",
            "source": {"branch": "gh-pages", "path": "/"},
            "https_enforced": True,
            "status": "built",
        },
        "actions/secrets": {"total_count": 0, "secrets": []},
        "branches/gh-pages": branch(fake),
        "rules/branches/gh-pages": [rule("deletion"), rule("non_fast_forward")],
    }
    for name, keys in ENVIRONMENTS.items():
        made[f"environments/{name}"] = {
            **blank(fake, "environment"),
            "name": name,
            "protection_rules": [{"id": 1, "node_id": "x", "type": "required_reviewers", "reviewers": []}],
            "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
        }
        allow([("branch", "main"), *([("tag", "v*")] if name != "feed-online" else [])], made, name)
        names = ["FEEDGEN_PASSPHRASE", *(f"FEEDGEN_KEY_{key.upper()}" for key in keys)]
        made[f"environments/{name}/secrets"] = secrets(names)
    for file in ("release.yml", "refresh-feed.yml", "operate-feed.yml"):
        made[f"actions/workflows/{file}"] = {**blank(fake, "workflow"), "state": "active"}
        made[f"actions/workflows/{file}/runs"] = runs(fake, "success", NOW)
    return made


def branch(fake: FakeGitHub) -> dict[str, Any]:
    protection = {"enabled": False}
    commit: dict[str, Any] = {**blank(fake, "commit"), "author": None, "committer": None, "parents": []}
    person = {"name": "x", "email": "x@example.org", "date": "2026-01-01T00:00:00Z"}
    commit["commit"] = {
        "url": fake.api_url,
        "author": person,
        "committer": person,
        "message": "x",
        "comment_count": 0,
        "tree": {"sha": "a" * 40, "url": fake.api_url},
    }
    shown = {**blank(fake, "branch-with-protection"), "name": "gh-pages", "commit": commit, "protection": protection}
    return {**shown, "_links": {"html": fake.web_url, "self": fake.api_url}, "protected": False}


def rule(kind: str) -> dict[str, Any]:
    return {"type": kind, "ruleset_source_type": "Repository", "ruleset_source": "acme/shop", "ruleset_id": 1}


def allow(rules: list[tuple[str, str]], made: dict[str, Any], name: str) -> None:
    policies = [{"id": n, "node_id": "x", "name": value, "type": kind} for n, (kind, value) in enumerate(rules)]
    made[f"environments/{name}/deployment-branch-policies"] = {
        "total_count": len(policies),
        "branch_policies": policies,
    }


def secrets(names: list[str]) -> dict[str, Any]:
    stamp = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    return {"total_count": len(names), "secrets": [{"name": name, **stamp} for name in names]}


def runs(fake: FakeGitHub, conclusion: str, at: datetime) -> dict[str, Any]:
    run = {**blank(fake, "workflow-run"), "conclusion": conclusion, "updated_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "id": 7}
    run |= {"status": "completed", "head_repository": None, "repository": None, "head_commit": None}
    return {"total_count": 1, "workflow_runs": [run]}


def look(deploy: str = "branch") -> list[Finding]:
    setup = Setup(PublisherConfig("shop", URL), "acme/shop", "main", "", deploy=deploy)
    return list(GitHubChecks(repository_api("acme/shop"), setup, NOW).run())


def test_all_is_well(github: FakeGitHub) -> None:
    github.validate = False  # runs and branches have dozens of members that nobody here reads
    assert [finding for finding in look() if finding.level != "ok"] == []


def breakages() -> list[Any]:
    s = lambda fake: fake.repo.settings  # noqa: E731
    return [
        pytest.param(lambda f: s(f).pop("pages"), "error", "Pages is off", "gh api -X POST", id="no pages"),
        pytest.param(
            lambda f: s(f)["pages"].update(build_type="workflow"),
            "error",
            "other way",
            "build_type=legacy",
            id="artifact",
        ),
        pytest.param(
            lambda f: s(f)["pages"]["source"].update(branch="main"), "error", "serves main", "gh-pages", id="main"
        ),
        pytest.param(lambda f: s(f)["pages"].update(https_enforced=False), "warning", "HTTPS", "https_", id="http"),
        pytest.param(
            lambda f: s(f)["pages"].update(html_url="https://x.example/"), "warning", "x.example", "base_url", id="url"
        ),
        pytest.param(
            lambda f: s(f).pop("environments/feed-online"),
            "error",
            "feed-online does not",
            "-X PUT",
            id="no environment",
        ),
        pytest.param(
            lambda f: s(f)["environments/release-pre"].update(deployment_branch_policy=None),
            "error",
            "any branch",
            "deployment_branch_policy",
            id="open environment",
        ),
        pytest.param(
            lambda f: allow([("branch", "main")], s(f), "release-stable"),
            "error",
            "admit tags",
            "type=tag",
            id="no tags",
        ),
        pytest.param(
            lambda f: allow([("tag", "v*")], s(f), "feed-online"), "error", "branch main", "type=branch", id="no main"
        ),
        pytest.param(
            lambda f: s(f)["environments/release-stable"].update(protection_rules=[]),
            "warning",
            "asks nobody",
            "reviewers",
            id="no reviewer",
        ),
        pytest.param(
            lambda f: s(f).update({"environments/feed-online/secrets": secrets(["FEEDGEN_PASSPHRASE"])}),
            "error",
            "lacks FEEDGEN_KEY_ONLINE",
            "gh secret set FEEDGEN_KEY_ONLINE",
            id="no secret",
        ),
        pytest.param(
            lambda f: s(f).update({"actions/secrets": secrets(["FEEDGEN_KEY_STABLE"])}),
            "error",
            "FEEDGEN_KEY_STABLE: whoever",
            "gh secret delete",
            id="repository secret",
        ),
        pytest.param(
            lambda f: s(f).update(
                {
                    "environments/feed-online/secrets": secrets(
                        ["FEEDGEN_PASSPHRASE", "FEEDGEN_KEY_ONLINE", "FEEDGEN_KEY_ROOT_1"]
                    )
                }
            ),
            "error",
            "root key",
            "Delete",
            id="root key in CI",
        ),
        pytest.param(
            lambda f: setattr(f.repo, "immutable_releases", False), "warning", "exchanged", "immutable", id="mutable"
        ),
        pytest.param(lambda f: s(f).pop("branches/gh-pages"), "error", "no branch", "site push", id="no branch"),
        pytest.param(
            lambda f: s(f).update({"rules/branches/gh-pages": []}), "warning", "rewritten", "rulesets", id="no rules"
        ),
        pytest.param(
            lambda f: s(f)["rules/branches/gh-pages"].append(rule("pull_request")),
            "error",
            "keeps the workflows",
            "out of that rule",
            id="pull requests",
        ),
        pytest.param(
            lambda f: s(f)["actions/workflows/refresh-feed.yml"].update(state="disabled_inactivity"),
            "error",
            "switched off",
            "gh workflow enable",
            id="idle",
        ),
        pytest.param(
            lambda f: s(f).pop("actions/workflows/release.yml"),
            "error",
            "no workflow",
            "init --github",
            id="no workflow",
        ),
        pytest.param(
            lambda f: s(f).update({"actions/workflows/release.yml/runs": runs(f, "failure", NOW)}),
            "error",
            "failed",
            "gh run view",
            id="failed run",
        ),
        pytest.param(
            lambda f: s(f).update(
                {"actions/workflows/refresh-feed.yml/runs": runs(f, "success", NOW - timedelta(days=5))}
            ),
            "warning",
            "should daily",
            "gh workflow run",
            id="late schedule",
        ),
    ]


@pytest.mark.parametrize(("damage", "level", "says", "mend"), breakages())
def test_each_trouble_is_named_and_can_be_mended(
    github: FakeGitHub, damage: Callable[[FakeGitHub], object], level: str, says: str, mend: str
) -> None:
    github.validate = False
    damage(github)
    found = [finding for finding in look() if finding.level not in ("ok", "skipped")]
    assert [finding.level for finding in found if says in finding.message] == [level], found
    assert mend in next(finding for finding in found if says in finding.message).mend


def test_an_artifact_needs_the_tag_rule_of_github_pages(github: FakeGitHub) -> None:
    github.validate = False
    github.repo.settings["pages"]["build_type"] = "workflow"
    allow([("branch", "main")], github.repo.settings, "github-pages")
    found = [finding for finding in look("pages") if finding.level == "error"]
    assert len(found) == 1
    assert "github-pages does not admit tags" in found[0].message


def test_a_weak_token_is_no_trouble_of_the_repository(github: FakeGitHub) -> None:
    github.tokens["ghp_sesame"] = Token(permissions={"metadata": "read"})
    found = look()
    assert {finding.level for finding in found} <= {"ok", "skipped", "warning"}
    assert any("may not" in finding.message for finding in found)


def test_pages_environments_and_secrets_as_github_describes_them(github: FakeGitHub) -> None:
    """These answers are checked against GitHub's own description."""
    api = repository_api("acme/shop")
    for path in ("/pages", "/environments/feed-online", "/environments/feed-online/secrets?per_page=100"):
        assert api.call("GET", path).ok
    assert api.call("GET", "/environments/release-stable/deployment-branch-policies").ok
    assert api.call("GET", "/rules/branches/gh-pages").ok
    assert api.call("GET", "/immutable-releases").body["enabled"]


def test_the_issue_and_the_schedule_through_the_api(github: FakeGitHub) -> None:
    api = repository_api("acme/shop")
    assert report(api, "shop", ["late"], run_url="https://x/1").what == "opened"
    assert report(api, "shop", ["later"], run_url="https://x/2").what == "updated"
    assert report(api, "shop", [], run_url="https://x/3").what == "closed"
    assert [issue["state"] for issue in github.repo.settings["issues"]] == ["closed"]
    assert report(api, "shop", ["again"], run_url="").number == 2
    assert keep_alive(api, "refresh-feed.yml")
    assert github.repo.settings["enabled"] == ["refresh-feed.yml"]


def test_the_local_part_without_network(repository: Hosted, tmp_path: Path) -> None:
    repository.feedgen("init", "--app", "shop", "--base-url", URL, "--keys", str(repository.keys))
    arguments = ("doctor", "--offline", "--store", "site", "--keys", str(repository.keys))
    said = repository.feedgen(*arguments)
    assert "0 errors" in said.output
    assert "Enough root keys" in said.output
    for name in ("root-1", "root-2"):
        (repository.keys / f"{name}.pem").unlink()
    found = json.loads(repository.feedgen(*arguments, "--json").output)
    assert "The root keys are kept elsewhere" in {finding["message"] for finding in found}
    workflows = repository.clone / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "release.yml").write_text("    uses: acme/x/.github/workflows/publish.yml@v1\n")
    said = repository.feedgen(*arguments, code=1)
    assert "can be moved" in said.output
    assert "Nothing signs the timestamp again" in said.output
    (repository.site / "metadata" / "timestamp.json").write_text("{}")
    assert "feedgen site pull --discard" in repository.feedgen(*arguments, code=1).output


def test_a_shallow_clone_and_foreign_tags(repository: Hosted, tmp_path: Path) -> None:
    repository.feedgen("init", "--app", "shop", "--base-url", URL, "--keys", str(repository.keys))
    repository.tag("release-1")
    repository.tag("release-2")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", repository.github.bare.as_uri(), shallow], check=True)
    repository.clone = shallow
    said = repository.feedgen("doctor", "--offline", "--keys", str(repository.keys), code=1)
    assert "fetch-depth: 0" in said.output
    assert "feedgen site pull" in said.output
    subprocess.run(["git", "-C", shallow, "fetch", "-q", "--unshallow", "--tags"], check=True)
    assert "tag_prefix" in repository.feedgen("doctor", "--offline", "--keys", str(repository.keys)).output
