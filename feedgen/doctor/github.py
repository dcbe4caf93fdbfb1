"""The settings of the repository on GitHub, one check each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from feedgen.doctor.api import Answer, RepositoryApi
from feedgen.doctor.model import Finding, error, ok, skipped, warning
from feedgen.workflow.callers import Setup
from feedgen.workflow.plan import ENVIRONMENTS, ONLINE_ENVIRONMENT
from updater.schema import parse_time

__all__ = ["GitHubChecks"]

_FEW_CALLS = 100
_REFRESH_EVERY = timedelta(days=3)  # a daily schedule that was late twice


@dataclass(frozen=True)
class GitHubChecks:
    """``setup`` says how it should be."""

    api: RepositoryApi
    setup: Setup
    now: datetime

    def run(self) -> Iterator[Finding]:
        """Every finding; ends early when the repository cannot be seen at all."""
        repository = self.api.call("GET", "")
        if not repository.ok:
            yield _unreadable("repository", repository, "see the repository")
            return
        yield from self._token(repository)
        yield from self._pages()
        for name in ENVIRONMENTS:
            yield from self._environment(name)
        if self.setup.deploy == "pages":
            yield from self._policies("github-pages")
        yield from self._repository_secrets()
        yield from self._immutable()
        yield from self._site_branch()
        for file in ("release.yml", "refresh-feed.yml", "operate-feed.yml"):
            yield from self._workflow(file)

    def _token(self, repository: Answer) -> Iterator[Finding]:
        scopes = repository.header("x-oauth-scopes")
        if scopes and "repo" not in scopes.replace(",", " ").split():
            yield warning("token", f"The token has only the scopes {scopes}", "gh auth refresh --scopes repo,workflow")
        else:
            yield ok("token", f"It has the scopes {scopes}" if scopes else "It is limited to chosen permissions")
        limit = self.api.top("/rate_limit")
        if not limit.ok:
            return
        core = limit.body["resources"]["core"]
        text = f"{core['remaining']} of {core['limit']} calls are left this hour"
        if core["remaining"] < _FEW_CALLS:
            yield warning("token", text, "Wait until the hour is over before you publish.")
        else:
            yield ok("token", text)

    def _pages(self) -> Iterator[Finding]:
        answer = self.api.call("GET", "/pages")
        path = f"repos/{self.api.repository}/pages"
        if answer.status == 404:
            mend = self.setup.steps_named("Pages")
            yield error("pages", "GitHub Pages is off: nobody can see the feed", mend)
            return
        if not answer.ok:
            yield _unreadable("pages", answer, "read the Pages settings")
            return
        build, source = answer.body.get("build_type"), answer.body.get("source") or {}
        wanted = "workflow" if self.setup.deploy == "pages" else "legacy"
        if build != wanted:
            built = "an artifact of a workflow" if build == "workflow" else "a branch"
            kind = "build_type=workflow" if wanted == "workflow" else "build_type=legacy"
            branch = "" if wanted == "workflow" else f" -f 'source[branch]={self.setup.branch}' -f 'source[path]=/'"
            mend = f"gh api -X PUT {path} -f {kind}{branch}"
            yield error("pages", f"Pages serves {built}, the workflows publish the other way", mend)
        elif wanted == "legacy" and (source.get("branch"), source.get("path")) != (self.setup.branch, "/"):
            mend = f"gh api -X PUT {path} -f 'source[branch]={self.setup.branch}' -f 'source[path]=/'"
            there = f"{source.get('branch')}:{source.get('path')}"
            yield error("pages", f"Pages serves {there}, the site is {self.setup.branch}:/", mend)
        else:
            yield ok("pages", f"Pages serves the site at {answer.body.get('html_url', '?')}")
        url = str(answer.body.get("html_url") or "")
        if url and url.rstrip("/") != self.setup.config.base_url.rstrip("/"):
            yield warning(
                "pages",
                f"Pages serves {url}, feedgen.toml says {self.setup.config.base_url}",
                "If that is a CDN or a proxy in front, all is well; else correct base_url before the first release.",
            )
        if url.startswith("https:") and answer.body.get("https_enforced") is False:
            yield warning("pages", "HTTPS is not enforced", f"gh api -X PUT {path} -F https_enforced=true")

    def _environment(self, name: str) -> Iterator[Finding]:
        answer = self.api.call("GET", f"/environments/{name}")
        if answer.status == 404:
            yield error("environments", f"{name} does not exist", "\n".join(self.setup.environment_commands(name)))
            return
        if not answer.ok:
            yield _unreadable("environments", answer, "read environments")
            return
        yield from self._policies(name, answer.body)
        if name == "release-stable" and not _reviewers(answer.body):
            yield warning(
                "environments",
                f"{name} asks nobody before a stable release is signed",
                f"Add reviewers in the settings of the environment {name}, unless tags are protected well enough.",
            )
        yield from self._secrets(name)

    def _policies(self, name: str, environment: dict[str, Any] | None = None) -> Iterator[Finding]:
        if environment is not None and environment.get("deployment_branch_policy") is None:
            mend = "\n".join(self.setup.environment_commands(name))
            yield error("environments", f"{name} gives its keys to any branch of the repository", mend)
            return
        answer = self.api.call("GET", f"/environments/{name}/deployment-branch-policies")
        if not answer.ok:
            yield _unreadable("environments", answer, f"read the rules of {name}")
            return
        rules = {(rule.get("type", "branch"), rule["name"]) for rule in answer.body.get("branch_policies", [])}
        tags = any(kind == "tag" for kind, _ in rules)
        branch = ("branch", self.setup.default_branch) in rules
        if (name == ONLINE_ENVIRONMENT or tags) and branch:
            yield ok("environments", f"{name} serves what it has to, and nothing else: {_rules(rules)}")
            return
        lacking = "tags" if name != ONLINE_ENVIRONMENT and not tags else f"the branch {self.setup.default_branch}"
        yield error(
            "environments",
            f"{name} does not admit {lacking} ({_rules(rules)}), so that jobs are refused",
            "\n".join(self.setup.environment_commands(name)[1:]),
        )

    def _secrets(self, name: str) -> Iterator[Finding]:
        answer = self.api.call("GET", f"/environments/{name}/secrets?per_page=100")
        if not answer.ok:
            yield _unreadable("secrets", answer, f"list the names of the secrets of {name}")
            return
        there = {secret["name"] for secret in answer.body["secrets"]}
        wanted = {f"FEEDGEN_KEY_{key.upper()}" for key in ENVIRONMENTS[name]} | {"FEEDGEN_PASSPHRASE"}
        if missing := sorted(wanted - there):
            mend = f"gh secret set {missing[0]} --repo {self.api.repository} --env {name}"
            source = "" if missing[0] == "FEEDGEN_PASSPHRASE" else " < the key's .pem file"
            yield error("secrets", f"{name} lacks {', '.join(missing)}", f"{mend}{source}; and so on")
        else:
            yield ok("secrets", f"{name} has the {len(wanted)} that it needs")
        if roots := sorted(secret for secret in there if secret.startswith("FEEDGEN_KEY_ROOT")):
            yield error("secrets", f"{name} holds a root key ({roots[0]})", "Delete the secret and exchange that key.")

    def _repository_secrets(self) -> Iterator[Finding]:
        answer = self.api.call("GET", "/actions/secrets?per_page=100")
        if not answer.ok:
            return
        loose = [item["name"] for item in answer.body["secrets"] if item["name"].startswith("FEEDGEN_")]
        if loose:
            yield error(
                "secrets",
                f"{', '.join(loose)}: whoever may push a branch can read a secret of the repository",
                f"gh secret delete {loose[0]} --repo {self.api.repository}; keep it in its environment only.",
            )

    def _immutable(self) -> Iterator[Finding]:
        if self.setup.store != "github":
            return
        answer = self.api.call("GET", "/immutable-releases")
        if answer.ok and answer.body and answer.body.get("enabled"):
            yield ok("releases", "Published releases are immutable")
        elif answer.ok or answer.status == 404:
            yield warning(
                "releases",
                "Assets of a published release can be exchanged (clients would refuse them)",
                f"gh api -X PUT repos/{self.api.repository}/immutable-releases",
            )
        else:
            yield _unreadable("releases", answer, "read the release settings")

    def _site_branch(self) -> Iterator[Finding]:
        branch = self.setup.branch
        answer = self.api.call("GET", f"/branches/{branch}")
        if answer.status == 404:
            yield error("site branch", f"There is no branch {branch}", "feedgen site push -m 'Begin the site'")
            return
        if not answer.ok:
            yield _unreadable("site branch", answer, f"read the branch {branch}")
            return
        rules = self.api.call("GET", f"/rules/branches/{branch}")
        kinds = {rule["type"] for rule in rules.body} if rules.ok else set()
        if blocking := kinds & {"pull_request", "required_status_checks", "update", "required_signatures"}:
            yield error(
                "site branch",
                f"A rule keeps the workflows from pushing to {branch} ({', '.join(sorted(blocking))})",
                f"Take {branch} out of that rule, or let GitHub Actions bypass it.",
            )
        if answer.body.get("protected") or kinds >= {"deletion", "non_fast_forward"}:
            yield ok("site branch", f"{branch} cannot be rewritten")
        else:
            yield warning(
                "site branch", f"{branch} can be rewritten or deleted", self.setup.steps_named("protect the site")
            )

    def _workflow(self, file: str) -> Iterator[Finding]:
        answer = self.api.call("GET", f"/actions/workflows/{file}")
        if answer.status == 404:
            yield error("workflows", f"GitHub knows no workflow {file}", "feedgen init --github, commit and push.")
            return
        if not answer.ok:
            yield _unreadable("workflows", answer, "read workflows")
            return
        if answer.body["state"] != "active":
            mend = f"gh workflow enable {file} --repo {self.api.repository}"
            yield error("workflows", f"{file} is switched off ({answer.body['state']})", mend)
            return
        runs = self.api.call("GET", f"/actions/workflows/{file}/runs?per_page=1&status=completed")
        last = runs.body["workflow_runs"][0] if runs.ok and runs.body["workflow_runs"] else None
        if last is None:
            yield ok("workflows", f"{file} is on and has not run yet")
        elif last["conclusion"] not in ("success", "skipped"):
            yield error("workflows", f"{file} failed last time", f"gh run view {last['id']} --log-failed")
        elif file == "refresh-feed.yml" and self.now - parse_time(last["updated_at"]) > _REFRESH_EVERY:
            mend = f"gh workflow run {file} --repo {self.api.repository}"
            yield warning("workflows", f"{file} ran last on {last['updated_at'][:10]}, although it should daily", mend)
        else:
            yield ok("workflows", f"{file} is on and succeeded last time")


def _reviewers(environment: dict[str, Any]) -> bool:
    return any(rule.get("type") == "required_reviewers" for rule in environment.get("protection_rules") or [])


def _rules(rules: set[tuple[str, str]]) -> str:
    return ", ".join(f"{kind} {name}" for kind, name in sorted(rules)) or "nothing"


def _unreadable(subject: str, answer: Answer, what: str) -> Finding:
    message = answer.body.get("message", "") if isinstance(answer.body, dict) else ""
    text = f"The token may not {what}: {answer.status} {message}".rstrip()
    if answer.status in (401, 403, 404):
        return skipped(subject, text, "Use the token of somebody with admin rights: GH_TOKEN=$(gh auth token)")
    return skipped(subject, text, "Try again later.")
