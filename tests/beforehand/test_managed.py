"""Who else may keep a site's files: real git, real dpkg, real mounts; containers by the files of a machine's root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.require import require
from updater.errors import BlockedError
from updater.install.managed import SiteFacts, find_keeper, keeper_finding, refuse_kept

FILES = {"manage.py": "1\n", "shop/a.py": "2\n", "shop/with space.txt": "3\n", "shop/[odd]*.txt": "4\n"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return fill(tmp_path / "srv" / "shop")


def fill(tree: Path) -> Path:
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


def facts(tree: Path, **more: Any) -> SiteFacts:
    return SiteFacts(**{"tree": tree, "paths": tuple(FILES), "app": "shop", "environ": dict(os.environ), **more})


def test_a_plain_directory_is_nobody_s(tree: Path) -> None:
    assert find_keeper(facts(tree)) is None
    assert keeper_finding(None, "refuse").level == "ok"


# git


def git(where: Path, *words: str) -> str:
    identity = ["-c", "user.name=Owner", "-c", "user.email=owner@example.org", "-c", "init.defaultBranch=main"]
    command = [require("git", "git"), *identity, "-C", str(where), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(where: Path) -> None:
    git(where, "init", "-q")
    git(where, "add", "-A")
    git(where, "commit", "-qm", "all")


def test_a_checkout_on_a_branch(tree: Path) -> None:
    commit(tree)
    keeper = find_keeper(facts(tree))
    assert keeper is not None
    assert keeper.what == f"is a git checkout ({tree})"
    assert keeper.command == f"git -C {tree} pull"


def test_a_checkout_of_a_tag(tree: Path) -> None:
    commit(tree)
    git(tree, "checkout", "-q", "--detach")
    keeper = find_keeper(facts(tree, version="1.1.0"))
    assert keeper is not None
    assert keeper.command == f"git -C {tree} fetch --tags && git -C {tree} checkout v1.1.0"


def test_a_worktree(tree: Path, tmp_path: Path) -> None:
    commit(tree)
    git(tree, "worktree", "add", "-q", "-b", "live", str(tmp_path / "live"))
    assert (tmp_path / "live/.git").is_file()
    assert find_keeper(facts(tmp_path / "live")) is not None


def test_a_folder_of_a_checkout(tree: Path) -> None:
    commit(tree.parent)
    keeper = find_keeper(facts(tree))
    assert keeper is not None
    assert str(tree.parent) in keeper.what


def test_a_repository_that_does_not_track_the_release(tree: Path) -> None:
    """An owner who keeps only the settings in git, and a site below somebody's repository that ignores it."""
    (tree / "updater.toml").write_text("x")
    git(tree, "init", "-q")
    git(tree, "add", "updater.toml")
    git(tree, "commit", "-qm", "settings")
    assert find_keeper(facts(tree)) is None


def test_a_checkout_of_another_user_runs_nothing_of_it(tree: Path, tmp_path: Path) -> None:
    """As root in a user's repository: git is asked, but its settings' programs are not run."""
    commit(tree)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(trap))
    if os.geteuid() == 0:
        for path in (tree, *tree.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
    before = {path: path.stat().st_mtime_ns for path in (tree / ".git").rglob("*")}
    assert find_keeper(facts(tree)) is not None
    assert not (tmp_path / "sprung").exists()
    assert {path: path.stat().st_mtime_ns for path in (tree / ".git").rglob("*")} == before


def test_variables_of_another_repository_do_not_mislead(tree: Path, tmp_path: Path) -> None:
    commit(tree)
    environ = {**os.environ, "GIT_DIR": str(tmp_path / "other"), "GIT_WORK_TREE": str(tmp_path)}
    assert find_keeper(facts(tree, environ=environ)) is not None


def test_without_git_a_repository_at_the_tree_counts_and_one_above_does_not(tree: Path) -> None:
    commit(tree)
    blind = {"PATH": "/nowhere"}
    real, os.environ["PATH"] = os.environ["PATH"], "/nowhere"
    try:
        assert find_keeper(facts(tree, environ=blind)) is not None
        shutil.move(tree / ".git", tree.parent / ".git")
        assert find_keeper(facts(tree, environ=blind)) is None
    finally:
        os.environ["PATH"] = real


# containers

ROOT_OVERLAY = "22 1 0:30 / / rw,relatime - overlay overlay rw,lowerdir=/a\n"
ROOT_DISK = "22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
VOLUME = "40 22 254:1 /var/lib/docker/volumes/shop/_data /srv/shop rw,relatime - ext4 /dev/vda1 rw\n"


def machine(root: Path, mounts: str, group: str = "0::/\n", *marks: str, started: int = 1000) -> None:
    """The files by which a machine tells what it is; process 1 began ``started`` seconds after the epoch."""
    for name, text in {
        "proc/self/mountinfo": mounts,
        "proc/1/cgroup": group,
        "proc/stat": "cpu 1 2 3\nbtime 900\n",
        "proc/1/stat": f"1 (a ) b) S {' '.join('0' * 18)} {(started - 900) * os.sysconf('SC_CLK_TCK')} 0 0\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for mark in marks:
        (root / mark).parent.mkdir(parents=True, exist_ok=True)
        (root / mark).write_text("")


@pytest.mark.parametrize(
    ("mounts", "group", "marks", "environ", "command"),
    [
        (ROOT_OVERLAY, "0::/\n", [".dockerenv"], {}, "docker pull r/shop@sha256:1 && docker compose up -d"),
        (ROOT_OVERLAY, "0::/\n", ["run/.containerenv"], {}, "podman pull r/shop@sha256:1 && podman compose up -d"),
        (ROOT_DISK, "1:cpu:/docker/0123\n", [], {}, "docker pull r/shop@sha256:1 && docker compose up -d"),
        (ROOT_DISK, "0::/kubepods/besteffort/pod1\n", [], {}, "kubectl set image deployment/shop shop=r/shop@sha256:1"),
        (ROOT_DISK, "", [], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubectl set image deployment/shop"),
        (ROOT_OVERLAY, "0::/\n", [], {}, None),
        (ROOT_DISK, "0::/\n", [".dockerenv"], {}, None),  # a virtual machine made from an image
        (ROOT_OVERLAY + VOLUME, "0::/\n", [".dockerenv"], {}, None),
        (ROOT_OVERLAY + VOLUME, "0::/kubepods/x\n", [], {"KUBERNETES_SERVICE_HOST": "1"}, None),
        (ROOT_OVERLAY + VOLUME.replace("/srv/shop ", "/srv/sho "), "0::/\n", [".dockerenv"], {}, "docker pull"),
    ],
)
def test_containers(
    tree: Path,
    tmp_path: Path,
    mounts: str,
    group: str,
    marks: list[str],
    environ: dict[str, str],
    command: str | None,
) -> None:
    machine(tmp_path, mounts, group, *marks)
    keeper = find_keeper(facts(tree, root=tmp_path, environ=environ, image="r/shop@sha256:1", written=950.0))
    assert (None if keeper is None else keeper.command.startswith(command or "?")) is (
        None if command is None else True
    )


def test_what_was_installed_into_a_running_container_is_not_the_image_s(tree: Path, tmp_path: Path) -> None:
    machine(tmp_path, ROOT_OVERLAY, "0::/\n", ".dockerenv", started=1000)
    assert find_keeper(facts(tree, root=tmp_path, written=1001.0)) is None
    assert find_keeper(facts(tree, root=tmp_path, written=999.0)) is not None
    (tmp_path / "proc/1/stat").write_text("damaged")
    assert find_keeper(facts(tree, root=tmp_path, written=1001.0)) is not None  # cannot be told


# package managers


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """The root of a small Debian on which the package shop-server is installed, by dpkg itself."""
    require("dpkg-deb", "dpkg")
    build, root = tmp_path / "build", tmp_path / "debian"
    fill(build / "usr/share/shop")
    (build / "DEBIAN").mkdir()
    (build / "DEBIAN/control").write_text(
        "Package: shop-server\nVersion: 1.0.0-1\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: Shop\n"
    )
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", build, tmp_path / "shop.deb"], check=True, stdout=-3)
    for folder in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / folder).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).write_text("")
    command = ["dpkg", f"--root={root}", "--force-not-root", "--force-script-chrootless", "--log=/dev/null"]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    subprocess.run([*command, "--install", tmp_path / "shop.deb"], check=True, stdout=-3, env={"PATH": path})
    assert (root / "usr/share/shop/manage.py").is_file()
    return root


def test_files_of_a_debian_package(debian: Path) -> None:
    keeper = find_keeper(facts(debian / "usr/share/shop", root=debian))
    assert keeper is not None
    assert keeper.what == "belongs to the Debian package shop-server"
    assert keeper.command == "apt-get install --only-upgrade shop-server"


SPEC = """
Name: shop-server
Version: 1.0
Release: 1
Summary: Shop
License: MIT
BuildArch: noarch
%description
Shop
%install
mkdir -p %{buildroot}/usr/share
cp -r {tree} %{buildroot}/usr/share/shop
%files
/usr/share/shop
"""


def test_files_of_an_rpm_package(tree: Path, tmp_path: Path) -> None:
    """Built, installed and asked about by rpm itself."""
    build, rpm, root = require("rpmbuild", "rpm"), require("rpm", "rpm"), tmp_path / "fedora"
    (tmp_path / "shop.spec").write_text(SPEC.replace("{tree}", str(tree)))
    defined = ["--define", f"_topdir {tmp_path}/top", "--define", "__os_install_post %{nil}"]
    subprocess.run([build, *defined, "-bb", tmp_path / "shop.spec"], check=True, capture_output=True)
    (package,) = (tmp_path / "top/RPMS").rglob("*.rpm")
    (root / "var/lib/rpm").mkdir(parents=True)
    where = ["--root", str(root), "--dbpath", "/var/lib/rpm"]
    done = subprocess.run([rpm, *where, "--nodeps", "-i", package], capture_output=True, text=True, check=False)
    if done.returncode and os.geteuid():
        pytest.skip(f"rpm installs into another root as root only: {done.stderr}")
    keeper = find_keeper(facts(root / "usr/share/shop", root=root))
    assert keeper is not None
    assert (keeper.what, keeper.command) == ("belongs to the RPM package shop-server", "dnf upgrade shop-server")
    assert find_keeper(facts(fill(root / "srv/shop"), root=root)) is None


def test_a_site_beside_packages(debian: Path) -> None:
    assert find_keeper(facts(fill(debian / "srv/shop"), root=debian)) is None


def test_a_package_reached_through_a_link(debian: Path) -> None:
    (debian / "srv").mkdir()
    (debian / "srv/shop").symlink_to("../usr/share/shop")
    assert find_keeper(facts(debian / "srv/shop", root=debian)) is not None


def test_a_package_manager_that_hangs_is_not_waited_for(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_ = debian / "bin"
    bin_.mkdir()
    (bin_ / "dpkg-query").write_text("#!/bin/sh\nexec sleep 60\n")
    (bin_ / "dpkg-query").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setattr("updater.install.managed.TIMEOUT", 0.3)
    assert find_keeper(facts(debian / "usr/share/shop", root=debian)) is None


@pytest.mark.parametrize(
    ("database", "program", "says", "what", "command"),
    [
        ("var/lib/pacman/local/x", "pacman", "error: No package owns /x\nshop-server", "Arch", "pacman -Syu"),
        ("lib/apk/db/installed", "apk", "ERROR: /x: Could not find owner\nshop-server-1.0-r0", "Alpine", "apk upgrade"),
    ],
)
def test_other_package_managers(
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: str,
    program: str,
    says: str,
    what: str,
    command: str,
) -> None:
    """Programs that answer as these do (none of them is at home on the machine that tests)."""
    machine(tmp_path, ROOT_DISK)
    (tmp_path / database).parent.mkdir(parents=True)
    (tmp_path / database).write_text("")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / program).write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\ncat <<'END'\n{says}\nEND\nexit 1\n")
    (bin_ / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    keeper = find_keeper(facts(tree, root=tmp_path))
    assert keeper is not None
    assert what in keeper.what
    assert "shop-server" in keeper.what
    assert keeper.command.startswith(command)
    assert "/srv/shop/manage.py" in (tmp_path / "asked").read_text()
    (bin_ / program).write_text("#!/bin/sh\necho error: nobody\nexit 1\n")
    assert find_keeper(facts(tree, root=tmp_path)) is None


# stores and filesystems


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("nix/store/abc-shop-1.0", "nixos-rebuild"),
        ("gnu/store/abc-shop", "guix upgrade"),
        ("snap/shop/12", "snap refresh shop"),
    ],
)
def test_stores(tmp_path: Path, place: str, command: str) -> None:
    keeper = find_keeper(facts(fill(tmp_path / place), root=tmp_path))
    assert keeper is not None
    assert keeper.command.startswith(command)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "ro"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a filesystem")
    try:
        fill(mount / "shop")
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_read_only_filesystem(read_only: Path) -> None:
    keeper = find_keeper(facts(read_only / "shop"))
    assert keeper is not None
    assert keeper.what == f"lies on a read-only filesystem ({read_only})"
    assert keeper.command.startswith(f"mount -o remount,rw {read_only}")


# what is made of it


def test_refusing_and_allowing(tree: Path) -> None:
    commit(tree)
    keeper = find_keeper(facts(tree))
    with pytest.raises(BlockedError) as caught:
        refuse_kept(keeper, "refuse")
    assert f"git -C {tree} pull" in str(caught.value.reasons)
    assert "[policy] managed" in caught.value.hint
    refuse_kept(keeper, "allow")
    refuse_kept(None, "refuse")
    assert keeper_finding(keeper, "refuse").level == "error"
    assert keeper_finding(keeper, "allow").level == "warning"
