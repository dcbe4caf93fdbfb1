"""The site as a branch: fetched, changed, pushed, whatever others do in between."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from feedgen.errors import ConfigError, PublishError
from feedgen.site_branch import BranchMovedError, SiteBranch, credentials

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "secret"}


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare"], check=True)
    return tmp_path / "bare"


@pytest.fixture
def branch(bare: Path, tmp_path: Path) -> SiteBranch:
    """A working copy of a branch that holds one file."""
    begun = SiteBranch(tmp_path / "first", str(bare))
    begun.folder.mkdir()
    (begun.folder / "stable.json").write_text("1")
    assert begun.push("Begin")
    return begun


@pytest.fixture
def other(branch: SiteBranch, tmp_path: Path) -> SiteBranch:
    copy = SiteBranch(tmp_path / "second", branch.remote)
    copy.pull()
    return copy


def on_branch(bare: Path, name: str) -> str:
    command = ["git", "-C", bare, "show", f"gh-pages:{name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commits(bare: Path) -> int:
    command = ["git", "-C", bare, "rev-list", "--count", "gh-pages"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_pull_and_push(branch: SiteBranch, other: SiteBranch, bare: Path) -> None:
    assert (other.folder / "stable.json").read_text() == "1"
    (other.folder / "stable.json").write_bytes(b"2\r\n")
    assert other.push("Change")
    assert not other.push("Change")
    assert commits(bare) == 2
    branch.pull()
    assert (branch.folder / "stable.json").read_bytes() == b"2\r\n", "git changed bytes that are signed"


def test_local_changes_stop_a_pull(branch: SiteBranch) -> None:
    (branch.folder / "new.json").write_text("x")
    with pytest.raises(ConfigError, match="not pushed"):
        branch.pull()
    branch.pull(discard=True)
    assert not (branch.folder / "new.json").exists()


def test_a_second_beginning_is_refused(branch: SiteBranch, tmp_path: Path) -> None:
    another = SiteBranch(tmp_path / "another", branch.remote)
    another.folder.mkdir()
    (another.folder / "stable.json").write_text("other")
    with pytest.raises(BranchMovedError, match="did not come from it"):
        another.push("Begin")
    with pytest.raises(ConfigError, match="did not come from the branch"):
        another.pull()


def test_no_branch_and_no_repository(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(PublishError) as caught:
        SiteBranch(tmp_path / "copy", str(bare)).pull()
    assert "feedgen site push" in caught.value.hint
    with pytest.raises(PublishError, match="cannot read"):
        SiteBranch(tmp_path / "elsewhere", str(tmp_path / "nothing")).pull()


def test_a_change_is_made_again_on_top_of_another(branch: SiteBranch, other: SiteBranch, bare: Path) -> None:
    runs = []

    def count_up() -> None:
        runs.append(1)
        if len(runs) == 1:
            (branch.folder / "beta.json").write_text("from the other")
            branch.push("Meanwhile")
        path = other.folder / "stable.json"
        path.write_text(str(int(path.read_text()) + 1))

    assert other.run(count_up, "Count")
    assert len(runs) == 2
    assert (on_branch(bare, "stable.json"), on_branch(bare, "beta.json")) == ("2", "from the other")


def test_gives_up_when_others_are_always_faster(branch: SiteBranch, other: SiteBranch) -> None:
    moves = iter(range(99))

    def overtaken() -> None:
        branch.pull(discard=True)
        (branch.folder / "beta.json").write_text(str(next(moves)))
        branch.push("Faster")
        (other.folder / "stable.json").write_text("mine")

    with pytest.raises(BranchMovedError):
        other.run(overtaken, "Never", attempts=3)


def test_an_answer_that_got_lost(branch: SiteBranch, bare: Path) -> None:
    """The push arrived, but git was told otherwise: a hook that fails after the ref was updated does the same."""
    hook = bare / "hooks" / "post-receive"
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    (branch.folder / "stable.json").write_text("2")
    assert branch.push("Change")
    assert on_branch(bare, "stable.json") == "2"
    assert not branch.push("Change")


def test_a_refusal_says_which_permission_is_missing(branch: SiteBranch, bare: Path) -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'protected branch' >&2\nexit 1\n")
    hook.chmod(0o755)
    (branch.folder / "stable.json").write_text("2")
    with pytest.raises(PublishError, match="protected branch") as caught:
        branch.push("Change")
    assert not isinstance(caught.value, BranchMovedError)
    assert "contents: write" in caught.value.hint


@pytest.mark.parametrize(
    ("remote", "environ", "given"),
    [
        ("https://github.com/acme/shop", GITHUB, True),
        ("https://ghe.example/acme/shop", GITHUB | {"GITHUB_SERVER_URL": "https://ghe.example"}, True),
        ("https://github.com/acme/shop", {"GITHUB_TOKEN": "secret"}, False),
        ("https://evil.example/acme/shop", GITHUB, False),
        ("https://github.com.evil.example/acme/shop", GITHUB, False),
        ("http://github.com/acme/shop", GITHUB, False),
        ("git@github.com:acme/shop", GITHUB, False),
        ("/srv/git/shop.git", GITHUB, False),
    ],
)
def test_the_token_goes_to_its_own_server_only(remote: str, environ: dict[str, str], given: bool) -> None:
    assert bool(credentials(remote, environ)) == given


def test_other_settings_of_git_stay() -> None:
    made = credentials("https://github.com/acme/shop", GITHUB | {"GIT_CONFIG_COUNT": "2"})
    assert made["GIT_CONFIG_COUNT"] == "3"
    assert made["GIT_CONFIG_KEY_2"] == "http.https://github.com/.extraheader"
