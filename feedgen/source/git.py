"""Reading a git repository by its objects, never by its working tree.

Blobs are read as committed, so that line-ending settings, filters, the umask and local edits cannot reach a package.
Replace refs and variables such as ``GIT_DIR`` are ignored: the same tag means the same tree to everybody.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO

from feedgen.errors import ReleaseNotFoundError, SourceError
from updater.schema.publisher_config import PUBLISHER_CONFIG_NAME

__all__ = ["BlobReader", "Commit", "Repository", "TreeEntry"]

EXECUTABLE, SYMLINK, SUBMODULE = "100755", "120000", "160000"
_REDIRECTIONS = frozenset(
    "GIT_" + name
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "NAMESPACE", "COMMON_DIR", "PREFIX", "OBJECT_DIRECTORY")
)


@dataclass(frozen=True)
class Commit:
    """A commit: its id in hex, and the committer's time in UTC, whole seconds."""

    id: str
    date: datetime


@dataclass(frozen=True)
class TreeEntry:
    """One path of a tree. ``mode`` as git writes it (``100644``); ``size`` in bytes, 0 for a submodule.

    Bytes of a path that are not UTF-8 are surrogate escapes.
    """

    path: str
    mode: str
    object_id: str
    size: int


class BlobReader:
    """Blobs by id, through one ``git cat-file --batch`` process. Not for use by two threads at once."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._process, self._stdin, self._stdout = process, stdin, stdout

    def read(self, object_id: str) -> bytes:
        """The blob's bytes. Raises SourceError when the repository lacks it or is damaged."""
        try:
            self._stdin.write(object_id.encode() + b"\n")
            self._stdin.flush()
        except OSError as error:
            raise _damaged(object_id) from error
        header = self._stdout.readline().split()
        if len(header) != 3 or header[1] != b"blob":
            raise _damaged(object_id)
        data = self._stdout.read(int(header[2]))
        if len(data) != int(header[2]) or self._stdout.read(1) != b"\n":
            raise _damaged(object_id)
        return data


def _damaged(object_id: str) -> SourceError:
    return SourceError(
        f"The repository has no readable blob {object_id}.", hint="Check it with `git fsck`, or clone it again."
    )


class Repository:
    """A complete (not shallow) local repository, bare or not. Raises SourceError when ``path`` is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise SourceError(f"{path} is not a folder.", hint="Run feedgen inside the app's git repository.")
        probe = self._run("rev-parse", "--is-shallow-repository")
        if probe.returncode:
            raise _not_a_repository(path, probe.stderr.decode("utf-8", "replace"))
        if probe.stdout.strip() == b"true":
            raise SourceError(
                f"{path} is a shallow clone: without the history, the previous release cannot be found.",
                hint="Run `git fetch --unshallow --tags`; in GitHub Actions, give actions/checkout `fetch-depth: 0`.",
            )

    def commit_of_tag(self, tag: str) -> Commit:
        """The commit that a tag, annotated or not, points to. Raises ReleaseNotFoundError or SourceError."""
        found = self._run("show-ref", "--verify", "--hash", f"refs/tags/{tag}")
        if found.returncode:
            raise self._no_such_tag(tag)
        peeled = self._run("rev-parse", "--verify", "--quiet", found.stdout.decode().strip() + "^{commit}")
        if peeled.returncode:
            raise SourceError(f"The tag {tag!r} does not point to a commit.", hint="Tag a commit instead.")
        commit = peeled.stdout.decode().strip()
        seconds = int(self._output("show", "--no-patch", "--no-show-signature", "--format=%ct", commit))
        return Commit(commit, datetime.fromtimestamp(seconds, UTC))

    def tags_merged_into(self, commit: str) -> list[str]:
        """All tags that are ancestors of the commit, or on it."""
        listing = self._output("for-each-ref", f"--merged={commit}", "--format=%(refname:strip=2)", "refs/tags")
        return listing.decode("utf-8", "surrogateescape").splitlines()

    def tags(self) -> list[str]:
        """All tags."""
        listing = self._output("for-each-ref", "--format=%(refname:strip=2)", "refs/tags")
        return listing.decode("utf-8", "surrogateescape").splitlines()

    def tree(self, commit: str) -> list[TreeEntry]:
        """Every path of the commit, submodules included as one entry each.

        A component of a larger repository has a folder of its own, with settings of its own: then that folder is the
        top, and what lies beside it is not part of the tree.
        """
        listing = self._output("ls-tree", "-r", "-z", "-l", *self._whole, commit)
        return [_entry(line) for line in listing.split(b"\0") if line]

    def listing(self, tree: str) -> dict[str, str]:
        """Like ``tree``, for comparing: each path of a commit or full ref, and its mode and object id in one string."""
        listing = self._output("ls-tree", "-r", "-z", *self._whole, tree).decode("utf-8", "surrogateescape")
        found = {}
        for line in listing.split("\0"):
            if line:
                meta, _, path = line.partition("\t")
                mode, _, object_id = meta.split(" ")
                found[path] = f"{mode} {object_id}"
        return found

    @contextmanager
    def blobs(self) -> Iterator[BlobReader]:
        """A reader of blobs for the duration of the block."""
        command = [*self._git, "cat-file", "--batch"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._environment
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise AssertionError("pipes were asked for")
            try:
                yield BlobReader(process, process.stdin, process.stdout)
            finally:
                process.kill()

    @property
    def _whole(self) -> list[str]:
        return [] if (self.path / PUBLISHER_CONFIG_NAME).is_file() else ["--full-tree"]

    @property
    def _git(self) -> list[str]:
        return ["git", "-C", str(self.path), "--no-replace-objects"]

    @cached_property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
        return {
            **kept,
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_GRAFT_FILE": os.devnull,
        }

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [*self._git, *arguments],
                capture_output=True,
                check=False,
                env=self._environment,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise SourceError("The command `git` was not found.", hint="Install git and try again.") from error

    def _output(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode:
            message = done.stderr.decode("utf-8", "replace").strip()
            raise SourceError(f"git {arguments[0]} failed: {message}", hint="Check the repository with `git fsck`.")
        return done.stdout

    def _no_such_tag(self, tag: str) -> ReleaseNotFoundError:
        if self._run("show-ref", "--verify", "--quiet", f"refs/heads/{tag}").returncode == 0:
            return ReleaseNotFoundError(
                f"{tag!r} is a branch, not a tag: a branch moves, so it cannot name a release.",
                hint="Tag the commit (`git tag v1.2.0`) and build the tag.",
            )
        return ReleaseNotFoundError(
            f"There is no tag {tag!r} in {self.path}.",
            hint="`git tag --list` shows what is here; `git fetch --tags` brings what others have pushed.",
        )


def _not_a_repository(path: Path, stderr: str) -> SourceError:
    if "dubious ownership" in stderr:
        return SourceError(
            f"git does not trust {path}, because another user owns it.",
            hint=f"If you do: git config --global --add safe.directory {path.resolve()}",
        )
    if "not a git repository" in stderr:
        return SourceError(f"{path} is not a git repository.", hint="Run feedgen inside the app's repository.")
    return SourceError(f"git cannot read {path}: {stderr.strip()}", hint="See what `git status` says there.")


def _entry(line: bytes) -> TreeEntry:
    meta, _, path = line.partition(b"\t")
    mode, _, object_id, size = meta.decode("ascii").split()
    return TreeEntry(path.decode("utf-8", "surrogateescape"), mode, object_id, 0 if size == "-" else int(size))
