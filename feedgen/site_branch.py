"""The published site as a branch of a git repository: fetched, changed by a command, pushed (docs/adr/0008).

The branch is the lock: a push that is not a fast-forward is refused by the server, and the change is then made again on
top of what the other run published. Nothing depends on runs being kept apart.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from feedgen.errors import ConfigError, PublishError

__all__ = ["DEFAULT_BRANCH", "BranchMovedError", "SiteBranch", "credentials"]

DEFAULT_BRANCH = "gh-pages"
_BASE = "refs/feedgen/base"
"""The commit of the branch that the folder was last equal to."""
_AUTHOR = {"name": "feedgen", "email": "feedgen@users.noreply.github.com"}
_MISSING = 2  # git ls-remote --exit-code: no such ref


class BranchMovedError(PublishError):
    """Somebody else pushed to the branch since it was fetched."""


def credentials(remote: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that let git push to ``remote`` from a GitHub Actions job; empty elsewhere.

    The token goes only to the server that issued it. It is passed in the environment, so that it stays out of process
    lists and of ``.git/config``.
    """
    server = urlsplit(environ.get("GITHUB_SERVER_URL") or "https://github.com")
    there, token = urlsplit(remote), environ.get("GITHUB_TOKEN", "")
    if environ.get("GITHUB_ACTIONS") != "true" or not token or there.scheme != "https":
        return {}
    if (there.scheme, there.netloc) != (server.scheme, server.netloc):
        return {}
    count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"http.{server.scheme}://{server.netloc}/.extraheader",
        f"GIT_CONFIG_VALUE_{count}": f"AUTHORIZATION: basic {basic}",
    }


@dataclass(frozen=True)
class SiteBranch:
    """The branch ``branch`` of ``remote`` (URL or path), worked on in ``folder``."""

    folder: Path
    remote: str
    branch: str = DEFAULT_BRANCH
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def pull(self, *, discard: bool = False) -> None:
        """Make the folder equal to the branch. Local changes stop it, unless they are to be discarded.

        Raises ``ConfigError`` for a folder with changes or with a site that never came from the branch, and
        ``PublishError`` when there is no such branch or it cannot be fetched.
        """
        if not self._is_checkout():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise ConfigError(
                    f"{self.folder} holds a site that did not come from the branch {self.branch}",
                    hint="If it is new, publish it with 'feedgen site push'. If not, move it away and pull again.",
                )
            self._start()
        if not discard and self._has_changes():
            raise ConfigError(
                f"{self.folder} has changes that were not pushed",
                hint="Push them with 'feedgen site push', or drop them with 'feedgen site pull --discard'.",
            )
        self._fetch()
        self._git("reset", "--quiet", "--hard", _BASE)
        self._git("clean", "-qffdx")

    def push(self, message: str) -> bool:
        """Commit the folder and push it; says whether there was anything to push. Safe to repeat.

        Raises ``BranchMovedError`` when the branch has moved since it was fetched, ``PublishError`` for other refusals.
        """
        if not self._is_checkout():
            if self._exists():
                raise BranchMovedError(
                    f"{self.remote} has a branch {self.branch} already, and {self.folder} did not come from it",
                    hint="Move the folder away and run 'feedgen site pull'. A site is never begun anew: installed"
                    " clients would refuse it.",
                )
            self._start()
        self._git("add", "--all", "--force")
        head, base = self._commit("HEAD"), self._commit(_BASE)
        if not head or self._run("diff", "--cached", "--quiet", "HEAD").returncode:
            self._git("commit", "--quiet", "--no-verify", "--message", message)
            head = self._commit("HEAD")
        if head == base:
            return False
        pushed = self._run("push", "--quiet", self.remote, f"HEAD:refs/heads/{self.branch}")
        if pushed.returncode and not self._arrived(head, base, pushed.stderr.strip()):
            raise BranchMovedError(
                f"The branch {self.branch} of {self.remote} has moved since it was fetched",
                hint="Run 'feedgen site pull --discard', then the command again: it completes.",
            )
        self._git("update-ref", _BASE, "HEAD")
        return True

    def run(self, command: Callable[[], None], message: str, *, attempts: int = 5) -> bool:
        """Fetch, change, push; once more from the start whenever somebody else was faster. Says if it pushed."""
        for attempt in range(attempts):
            self.pull(discard=True)
            command()
            try:
                return self.push(message)
            except BranchMovedError:
                if attempt == attempts - 1:
                    raise
        raise AssertionError("unreachable")

    def _arrived(self, head: str, base: str, refusal: str) -> bool:
        """Whether a push that seemed to fail did arrive, or else whether the branch has moved. Raises otherwise."""
        if self._exists():
            self._fetch(into="refs/feedgen/look")
            there = self._commit("refs/feedgen/look")
            if there == head:
                return True
            if there != base:
                return False
        raise PublishError(
            f"git could not push to {self.remote}: {refusal}",
            hint="In GitHub Actions the job needs 'permissions: contents: write', and a rule that protects"
            f" {self.branch} must let GitHub Actions push.",
        )

    def _fetch(self, into: str = _BASE) -> None:
        done = self._run("fetch", "--quiet", "--depth=1", "--no-tags", self.remote, f"+refs/heads/{self.branch}:{into}")
        if not done.returncode:
            return
        if not self._exists():
            raise PublishError(
                f"{self.remote} has no branch {self.branch}",
                hint="Begin it once, on the machine where you ran 'feedgen init': feedgen site push",
            )
        raise PublishError(f"git could not fetch {self.branch} of {self.remote}: {done.stderr.strip()}")

    def _exists(self) -> bool:
        done = self._run("ls-remote", "--exit-code", self.remote, f"refs/heads/{self.branch}", inside=False)
        if done.returncode not in (0, _MISSING):
            raise PublishError(
                f"git cannot read {self.remote}: {done.stderr.strip()}",
                hint="Check the address with 'git remote -v', the network, and that you may read it.",
            )
        return done.returncode == 0

    def _is_checkout(self) -> bool:
        return (self.folder / ".git").is_dir()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._git("init", "--quiet", "--initial-branch", self.branch)

    def _has_changes(self) -> bool:
        if self._git("status", "--porcelain", "--ignored").strip():
            return True
        return self._commit("HEAD") != self._commit(_BASE)

    def _commit(self, name: str) -> str:
        done = self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return done.stdout.strip()

    def _git(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise PublishError(f"git {arguments[0]} failed in {self.folder}: {done.stderr.strip()}")
        return done.stdout

    def _run(self, *arguments: str, inside: bool = True) -> subprocess.CompletedProcess[str]:
        redirected = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
        environment = {name: value for name, value in self.environ.items() if name not in redirected}
        environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **credentials(self.remote, self.environ)}
        for role in ("AUTHOR", "COMMITTER"):
            for part, value in _AUTHOR.items():
                environment.setdefault(f"GIT_{role}_{part.upper()}", value)
        settings = ("-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
        where = ("-C", str(self.folder)) if inside else ()
        return subprocess.run(
            ["git", *where, *settings, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
