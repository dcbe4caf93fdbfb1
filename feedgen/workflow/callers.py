"""The workflows of an app's own repository, which call ours, and the commands that set the repository up for them."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feedgen import __version__
from feedgen.site_branch import DEFAULT_BRANCH
from feedgen.workflow.plan import ENVIRONMENTS, ONLINE_ENVIRONMENT
from updater.schema import PublisherConfig

__all__ = ["DEFAULT_SOURCE", "OPERATIONS", "Setup", "Step", "github_repository", "resolve_pin", "secret_names"]

DEFAULT_SOURCE = "tagship/tagship"
OPERATIONS = ("promote", "yank", "unyank", "halt", "resume", "rollout-set", "rollout-ramp", "critical", "stop", "notes")
OPERATIONS_ON_ALL = ("republish", "prune")
ONLY_SHOWN = ("list", "diff", "rollout-show")
_VALUE_HELP = (
    "promote: the channel; yank: the reason; rollout-set: 20 or steps; rollout-ramp: 7d; notes: the text;"
    " critical, stop: off takes the mark away"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_GITHUB_REMOTE = re.compile(r"(?:https://|ssh://git@|git@)([^/:]+)[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def secret_names() -> tuple[str, ...]:
    """Every secret that a workflow may read."""
    return ("FEEDGEN_PASSPHRASE", *(_secret(key) for key in ENVIRONMENTS["release-stable"]))


def _secret(key: str) -> str:
    return f"FEEDGEN_KEY_{key.upper()}"


def github_repository(remote: str) -> str:
    """OWNER/NAME of a remote's URL, "" when it does not look like one."""
    found = _GITHUB_REMOTE.fullmatch(remote)
    return found[2] if found else ""


def resolve_pin(source: str, version: str = __version__, *, server: str = "https://github.com") -> str:
    """The commit that the release tag of ``version`` points to; "" when the server cannot be asked."""
    command = ["git", "ls-remote", f"{server}/{source}", f"refs/tags/v{version}", f"refs/tags/v{version}^{{}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.split("\n") if not done.returncode else []
    commits = [line.split("\t")[0] for line in lines if "\t" in line]
    return commits[-1] if commits and _COMMIT.fullmatch(commits[-1]) else ""


@dataclass(frozen=True)
class Step:
    """A thing to do, and the commands that do it."""

    title: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Setup:
    """How an app's repository publishes. ``pin``: commit (or tag) of our workflows; ``repository``: OWNER/NAME."""

    config: PublisherConfig
    repository: str
    default_branch: str
    pin: str
    source: str = DEFAULT_SOURCE
    branch: str = DEFAULT_BRANCH
    store: str = "github"
    deploy: str = "branch"
    attest: bool = True

    def workflows(self) -> dict[str, str]:
        """The files, by their path in the repository."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("feedgen", "templates/github"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - YAML, of values that are checked before
        )
        number = int.from_bytes(hashlib.sha256(self.repository.encode()).digest()[:4], "big")
        values = {
            "tag_pattern": f"{self.config.tag_prefix}[0-9]*",
            "source": self.source,
            "pin": self.pin,
            "pin_comment": f" # v{__version__}" if _COMMIT.fullmatch(self.pin) else "",
            "secrets": secret_names(),
            "operations": (*ONLY_SHOWN, *OPERATIONS, *OPERATIONS_ON_ALL),
            "value_help": _VALUE_HELP,
            # Odd minutes, spread over the apps: the full hour is when everybody's schedules are late.
            "minute": number % 30 * 2 + 1,
            "hour": number // 30 % 5 + 1,
            **{name: getattr(self, name) for name in ("branch", "store", "deploy", "attest")},
        }
        names = ("release.yml", "refresh-feed.yml", "operate-feed.yml")
        return {f".github/workflows/{name}": environment.get_template(f"{name}.j2").render(values) for name in names}

    def steps(self, keys: Path) -> list[Step]:
        """What is left to do, in order, as commands for the GitHub CLI."""
        pages = (
            f"gh api -X POST repos/{self.repository}/pages -f 'source[branch]={self.branch}' -f 'source[path]=/'"
            if self.deploy == "branch"
            else f"gh api -X POST repos/{self.repository}/pages -f build_type=workflow"
        )
        environments = [command for name in ENVIRONMENTS for command in self.environment_commands(name)]
        if self.deploy == "pages":
            environments += self.environment_commands("github-pages")
        return [
            Step("Publish the empty site: it begins the branch", ("feedgen site push -m 'Begin the site'",)),
            Step("Let GitHub Pages serve it", (pages,)),
            Step("Make the environments that hold the keys, and say what may use them", tuple(environments)),
            Step("Give each environment its keys", tuple(self._secrets(keys))),
            Step(
                "Make releases immutable, and protect the site branch from rewriting",
                (
                    f"gh api -X PUT repos/{self.repository}/immutable-releases",
                    f"gh api -X POST repos/{self.repository}/rulesets -f name='{self.branch} is history'"
                    " -f target=branch -f enforcement=active"
                    f" -f 'conditions[ref_name][include][]=refs/heads/{self.branch}'"
                    " -F 'conditions[ref_name][exclude][]' -f 'rules[][type]=deletion'"
                    " -f 'rules[][type]=non_fast_forward'",
                ),
            ),
            Step(
                "Commit the workflows, then check everything",
                (
                    "git add .github/workflows feedgen.toml && git commit -m 'Publish releases with feedgen'",
                    f"git push origin {shlex.quote(self.default_branch)}",
                    "feedgen doctor",
                ),
            ),
        ]

    def steps_named(self, title: str) -> str:
        """The commands of the step whose title holds ``title``, a line each."""
        return "\n".join(cmd for step in self.steps(Path("KEYS")) if title in step.title for cmd in step.commands)

    def environment_commands(self, name: str) -> list[str]:
        """What makes an environment, and lets in what has to use it."""
        where = f"repos/{self.repository}/environments/{name}"
        policy = "-F 'deployment_branch_policy[protected_branches]=false' "
        policy += "-F 'deployment_branch_policy[custom_branch_policies]=true'"
        allow = f"gh api -X POST {where}/deployment-branch-policies"
        commands = [f"gh api -X PUT {where} {policy}"]
        if name != ONLINE_ENVIRONMENT:
            commands.append(f"{allow} -f name={shlex.quote(self.config.tag_prefix + '*')} -f type=tag")
        return [*commands, f"{allow} -f name={shlex.quote(self.default_branch)} -f type=branch"]

    def _secrets(self, keys: Path) -> Sequence[str]:
        lines = []
        for environment, names in ENVIRONMENTS.items():
            where = f"--repo {self.repository} --env {environment}"
            lines += [f"gh secret set {_secret(n)} {where} < {shlex.quote(str(keys / f'{n}.pem'))}" for n in names]
            lines.append(f"gh secret set FEEDGEN_PASSPHRASE {where}")
        return lines
