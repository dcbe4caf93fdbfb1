"""build_release: what a package and its manifest hold, and what is refused with which advice."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feedgen.build import PackageLayout, build_checked, config_at_tag, write_package
from feedgen.build.command import run_build_command
from feedgen.build.selection import TreeFile
from feedgen.errors import BuildError, ConfigError, NotReproducibleError, ReleaseNotFoundError, SourceError
from feedgen.source.git import Commit
from tests.feedgen_build.repo import SMALL, Repo, config, config_text, small
from tests.support.require import require
from updater.package import PackageReader, read_tail

GOLDEN = "fad73171eed1cb4fded016a491e5a17383801b58c46d5b4c4d4b63e9210788d6"


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_package_holds_the_tree_and_describes_it(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    built = repo.build("v1.0.0", tmp_path / "out")

    assert built.package_path == tmp_path / "out" / "shop-1.0.0.zip"
    members = names(built.package_path)
    assert members == [*sorted([*SMALL, "version.json"], key=str.encode), "update_manifest.json"]
    with zipfile.ZipFile(built.package_path) as archive:
        assert archive.testzip() is None
        for path, content in SMALL.items():
            expected = content.removeprefix("-> ").encode() if isinstance(content, str) else content
            assert archive.read(path) == expected, path
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        assert json.loads(archive.read("version.json")) == {
            "schema": "1.0",
            "app": "shop",
            "component": "core",
            "version": "1.0.0",
            "channel": "stable",
            "commit": built.commit,
            "date": "2026-01-20T08:00:01Z",
        }
        assert {info.date_time for info in archive.infolist()} == {(2026, 1, 20, 8, 0, 0)}
        assert archive.read("update_manifest.json") == built.manifest_bytes
    assert modes["manage.py"] == 0o100755
    assert modes["CHANGELOG.md"] == 0o100644
    assert modes["docs/latest"] == 0o120777
    link = built.manifest.files["docs/latest"]
    assert (link.symlink, link.size, link.sha256) == ("1.1", 3, hashlib.sha256(b"1.1").hexdigest())
    assert built.manifest.files["manage.py"].mode == 0o755
    assert built.notes_markdown == built.manifest.release_notes == "- First"
    assert built.date == datetime(2026, 1, 20, 8, 0, 1, tzinfo=UTC)
    assert built.commit == repo.git("rev-parse", "HEAD")
    assert (built.size, built.sha256) == (
        built.package_path.stat().st_size,
        hashlib.sha256(built.package_path.read_bytes()).hexdigest(),
    )


def test_client_reads_the_package_and_its_tail(tmp_path: Path) -> None:
    built = small(tmp_path / "repo").build("v1.0.0", tmp_path)
    signed = {"manifest_sha256": built.manifest_sha256, "manifest_size": len(built.manifest_bytes)}
    with built.package_path.open("rb") as file:
        assert PackageReader.open(file, **signed).manifest == built.manifest
    tail = built.package_path.read_bytes()[built.tail_offset :]
    assert len(tail) == built.tail_size
    assert read_tail(tail, built.tail_offset, **signed).manifest == built.manifest


def test_unzip_restores_files_modes_and_links(tmp_path: Path) -> None:
    unzip = require("unzip", "unzip")
    built = small(tmp_path / "repo").build("v1.0.0", tmp_path)
    assert subprocess.run([unzip, "-tq", built.package_path], check=False, capture_output=True).returncode == 0
    subprocess.run([unzip, "-q", built.package_path, "-d", tmp_path / "site"], check=True, capture_output=True)
    assert (tmp_path / "site/docs/latest").readlink() == Path("1.1")
    assert (tmp_path / "site/manage.py").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "site/catalog/models.py").read_text() == SMALL["catalog/models.py"]


def test_a_fixed_tree_gives_these_bytes_for_ever(tmp_path: Path) -> None:
    """A change here means that every published package can no longer be reproduced: it needs a format version."""
    assert small(tmp_path / "repo").build("v1.0.0", tmp_path).sha256 == GOLDEN


@pytest.mark.parametrize("annotated", [False, True])
def test_the_commit_counts_for_annotated_tags_too(tmp_path: Path, annotated: bool) -> None:
    repo = Repo(tmp_path / "repo")
    commit = repo.release("v1.0.0", {"a": "a"}, annotated=annotated, date="2026-05-01T00:00:00+00:00")
    built = repo.build("v1.0.0", tmp_path)
    assert (built.commit, built.date) == (commit, datetime(2026, 5, 1, tzinfo=UTC))


def test_the_working_tree_and_uncommitted_changes_do_not_matter(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    first = repo.build("v1.0.0", tmp_path / "a")
    (repo.path / "manage.py").write_text("changed")
    (repo.path / "untracked").write_text("x")
    repo.put({"staged": "x"})
    assert repo.build("v1.0.0", tmp_path / "b").sha256 == first.sha256


def test_include_and_exclude_choose_files(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"src/a.py": "a", "src/tests/t.py": "t", "README": "r", "tests/x": "x"})
    settings = config(build='include = ["src/**", "README"]\nexclude = ["tests/"]')
    assert names(repo.build("v1.0.0", tmp_path, settings).package_path) == [
        "README",
        "src/a.py",
        "version.json",
        "update_manifest.json",
    ]


def test_components_have_their_own_file_name_and_prefix(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("theme/v1.0.0", {"a": "a"})
    built = repo.build("theme/v1.0.0", tmp_path, config(app='component = "theme"\ntag_prefix = "theme/v"'))
    assert built.package_path.name == "shop-theme-1.0.0.zip"
    assert built.manifest.component == "theme"


def test_a_tracked_version_json_is_replaced_and_that_is_said(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"version.json": "{}", "a": "a"})
    built = repo.build("v1.0.0", tmp_path)
    with zipfile.ZipFile(built.package_path) as archive:
        assert json.loads(archive.read("version.json"))["version"] == "1.0.0"
    assert any("version.json is replaced" in remark for remark in built.remarks)


def test_missing_notes_are_empty_and_remarked(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"a": "a"})
    repo.release("v1.1.0", {"CHANGELOG.md": "## 1.0.0\nold\n"})
    assert "CHANGELOG.md is missing at the tag: the release has no notes." in repo.build("v1.0.0", tmp_path).remarks
    built = repo.build("v1.1.0", tmp_path)
    assert built.notes_markdown == ""
    assert built.remarks == ("CHANGELOG.md has no section for 1.1.0: the release has no notes.",)
    assert repo.build("v1.1.0", tmp_path, config(release='changelog = ""')).remarks == ()


def test_every_bad_path_is_reported_at_once(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    bad = {
        "con.txt": "x",
        "updater.toml": "x",
        "update_manifest.json": "x",
        "a:b": "x",
        "dot.": "x",
        "Readme": "x",
        "README": "x",
        "out": "-> ../elsewhere",
        "pointer.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    }
    repo.put(bad)
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    repo.release("v1.0.0", {"fine": "x"})
    with pytest.raises(BuildError) as caught:
        repo.build("v1.0.0", tmp_path / "out")
    problems = "\n".join(caught.value.problems)
    expected = ["'con.txt'", "'updater.toml'", "'update_manifest.json'", "'a:b'", "'dot.'", "collide", "'out' links"]
    for word in [*expected, "'pointer.bin' is a git-lfs pointer", "'vendor/lib' is a submodule"]:
        assert word in problems
    assert len(caught.value.problems) == 9
    assert "exclude" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    blob = repo.git("hash-object", "-w", "--stdin", data=b"x")
    repo.git("update-index", "-z", "--index-info", data=b"100644 " + blob.encode() + b"\tcaf\xe9\0")
    repo.release("v1.0.0", {"a": "a"})
    with pytest.raises(BuildError, match="not valid Unicode"):
        repo.build("v1.0.0", tmp_path)


def test_excluding_what_cannot_be_packaged_is_enough(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    repo.release("v1.0.0", {"a": "a", "updater.toml": "x", "out": "-> /etc/passwd"})
    built = repo.build("v1.0.0", tmp_path, config(build='exclude = ["/lib", "/updater.toml", "/out"]'))
    assert list(built.manifest.files) == ["a", "version.json"]


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    with pytest.raises(BuildError, match="Nothing is left"):
        repo.build("v1.0.0", tmp_path, config(build='include = ["nowhere/"]'))


def test_post_update_commands_must_be_splittable(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    with pytest.raises(BuildError, match="No closing quotation"):
        repo.build("v1.0.0", tmp_path, config(release='post_update_commands = ["say \'hi"]'))


def test_refused_sources_say_what_to_do(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    repo.git("branch", "v3.0.0")
    repo.git("tag", "v9.0.0", repo.git("rev-parse", "HEAD^{tree}"))
    with pytest.raises(ReleaseNotFoundError, match=r"no tag 'v2\.0\.0'") as caught:
        repo.build("v2.0.0", tmp_path)
    assert "git fetch --tags" in caught.value.hint
    with pytest.raises(ReleaseNotFoundError, match="is a branch"):
        repo.build("v3.0.0", tmp_path)
    with pytest.raises(SourceError, match="does not point to a commit"):
        repo.build("v9.0.0", tmp_path)
    (tmp_path / "plain").mkdir()
    with pytest.raises(SourceError, match="not a git repository"):
        config_at_tag(tmp_path / "plain", "v1.0.0")
    with pytest.raises(SourceError, match="not a folder"):
        config_at_tag(tmp_path / "absent", "v1.0.0")


def test_a_shallow_clone_is_refused(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    repo.release("v1.1.0", {"b": "b"})
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", repo.path.as_uri(), tmp_path / "clone"],
        check=True,
        capture_output=True,
    )
    with pytest.raises(SourceError, match="shallow clone") as caught:
        config_at_tag(tmp_path / "clone", "v1.1.0")
    assert "fetch-depth: 0" in caught.value.hint


def test_git_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = small(tmp_path / "repo")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(SourceError, match="`git` was not found"):
        repo.build("v1.0.0", tmp_path)


def test_settings_are_those_of_the_tag(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    with pytest.raises(ConfigError, match=r"no feedgen\.toml at v1\.0\.0"):
        config_at_tag(repo.path, "v1.0.0")
    (repo.path / "feedgen.toml").write_text(config_text(build='exclude = ["now/"]'))
    assert config_at_tag(repo.path, "v1.0.0").exclude == ("now/",)
    repo.release("v1.1.0", {"feedgen.toml": config_text(build='exclude = ["then/"]')})
    assert config_at_tag(repo.path, "v1.1.0").exclude == ("then/",)


def build_settings(code: str, outputs: str = '["made/**"]', more: str = "") -> str:
    script = json.dumps(["python3", "-c", code])
    return f"command = {script}\noutputs = {outputs}\n{more}"


MAKE = """
import os, pathlib, json
made = pathlib.Path("made"); made.mkdir()
keys = ("SOURCE_DATE_EPOCH", "LC_ALL", "TZ", "FEEDGEN_VERSION", "FEEDGEN_COMMIT")
(made / "environment").write_text(json.dumps({k: os.environ.get(k) for k in keys}))
(made / "secret").write_text(str(os.environ.get("SIGNING_KEY")))
(made / "tracked").write_text(",".join(sorted(str(p) for p in pathlib.Path(".").rglob("*") if "made" not in str(p))))
(made / "umask").write_text(oct(os.umask(0)))
(made / "mtime").write_text(str(os.stat("a.py").st_mtime))
(made / "run").write_text("#!/bin/sh"); (made / "run").chmod(0o777)
(made / "link").symlink_to("run")
pathlib.Path("not-taken").write_text("x")
pathlib.Path("a.py").write_text("changed, but not an output")
"""


def test_a_build_command_runs_in_a_clean_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_KEY", "secret")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    repo = Repo(tmp_path / "repo")
    commit = repo.release("v1.0.0", {"a.py": "a", "src/x.ts": "x"})
    (repo.path / "untracked").write_text("x")
    settings = config(build=build_settings(MAKE, more='exclude = ["/src/"]'))
    old = os.umask(0o077)
    try:
        built = repo.build("v1.0.0", tmp_path / "out", settings)
    finally:
        os.umask(old)
    made = [f"made/{name}" for name in ("environment", "link", "mtime", "run", "secret", "tracked", "umask")]
    assert list(built.manifest.files) == ["a.py", *made, "version.json"]
    with zipfile.ZipFile(built.package_path) as archive:
        assert json.loads(archive.read("made/environment")) == {
            "SOURCE_DATE_EPOCH": "1768896001",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "FEEDGEN_VERSION": "1.0.0",
            "FEEDGEN_COMMIT": commit,
        }
        assert archive.read("made/secret") == b"None"
        assert archive.read("made/tracked") == b"a.py,src,src/x.ts"
        assert archive.read("made/umask") == b"0o22"
        assert archive.read("made/mtime") == b"1768896001.0"
        assert archive.read("a.py") == b"a"
    assert built.manifest.files["made/run"].mode == 0o755
    assert built.manifest.files["made/link"].symlink == "run"


def test_no_file_is_laid_out_through_a_link(tmp_path: Path) -> None:
    """git refuses to make such a tree, but a damaged or hostile one can be fetched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = {
        "a": TreeFile("a", lambda: b"", mode=0, symlink=str(outside)),
        "a/f": TreeFile("a/f", lambda: b"written"),
    }
    commit = Commit("0" * 40, datetime(2026, 1, 1, tzinfo=UTC))
    running = run_build_command(("true",), tree, ("a/f",), exclude=(), commit=commit, version="1.0.0")
    with pytest.raises(BuildError, match="cannot be laid out"), running:
        pass
    assert list(outside.iterdir()) == []


def test_a_failing_build_command_shows_its_last_words(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    code = "import sys; print('first'); print('no such module: left-pad', file=sys.stderr); sys.exit(3)"
    with pytest.raises(BuildError, match="status 3") as caught:
        repo.build("v1.0.0", tmp_path, config(build=build_settings(code)))
    assert "no such module: left-pad" in caught.value.problems


def test_a_build_command_that_cannot_start_or_makes_nothing(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    with pytest.raises(BuildError, match="cannot be started"):
        repo.build("v1.0.0", tmp_path, config(build='command = ["no-such-program-here"]\noutputs = ["x"]'))
    with pytest.raises(BuildError, match="made nothing") as caught:
        repo.build("v1.0.0", tmp_path, config(build=build_settings("pass", '["manage.py", "dist/**"]')))
    assert caught.value.problems == ("dist/**",)


def test_a_build_command_that_hangs_is_ended(tmp_path: Path) -> None:
    from feedgen.build import build_release

    repo = small(tmp_path / "repo")
    settings = config(build=build_settings("import time; print('waiting', flush=True); time.sleep(60)"))
    with pytest.raises(BuildError, match=r"within 0\.5 seconds") as caught:
        build_release(repo.path, "v1.0.0", tmp_path, settings, command_timeout=0.5)
    assert caught.value.problems == ("waiting",)


def test_build_checked_names_what_differs(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    assert build_checked(repo.path, "v1.0.0", tmp_path / "a", config()).sha256 == GOLDEN
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["shop-1.0.0.index", "shop-1.0.0.zip"]
    code = "import os, pathlib; pathlib.Path('made').mkdir(); pathlib.Path('made/x').write_bytes(os.urandom(8))"
    with pytest.raises(NotReproducibleError) as caught:
        build_checked(repo.path, "v1.0.0", tmp_path / "b", config(build=build_settings(code)))
    assert caught.value.problems == ("made/x",)
    assert list((tmp_path / "b").iterdir()) == []


def test_a_package_that_the_client_would_refuse_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, *arguments: Any, **options: Any) -> PackageLayout:
        layout = write_package(path, *arguments, **options)
        path.write_bytes(path.read_bytes() + b"appended")
        return layout

    repo = small(tmp_path / "repo")
    monkeypatch.setattr("feedgen.build.builder.write_package", broken)
    with pytest.raises(BuildError, match="would be refused by the client"):
        repo.build("v1.0.0", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_replace_refs_and_redirections_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = small(tmp_path / "repo")
    first = repo.build("v1.0.0", tmp_path / "a")
    blob = repo.git("rev-parse", "HEAD:manage.py")
    other = repo.git("hash-object", "-w", "--stdin", data=b"replaced")
    repo.git("replace", blob, other)
    Repo(tmp_path / "decoy").release("v1.0.0", {"decoy": "x"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "decoy" / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", os.devnull)
    assert repo.build("v1.0.0", tmp_path / "b").sha256 == first.sha256
