"""Whether somebody else keeps a site's files: git, a container image, a package manager, a read-only store (standard
library only).

Then an update would be undone by the next pull, container or upgrade, or break it: the owner is given the command that
belongs to such a site. What cannot be asked (a tool that is missing or too slow) counts as "nobody does".
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from updater.errors import BlockedError, CommandError
from updater.frozen import frozen
from updater.install.container import Container, find_container
from updater.install.preflight import Finding
from updater.process.run import Completed, run
from updater.schema.site_config import OverridePolicy

__all__ = ["Keeper", "SiteFacts", "find_keeper", "keeper_finding", "refuse_kept"]

TIMEOUT = 10.0
"""Seconds that one program may take to answer."""

SAMPLE = 20
"""Files of the release that a package manager or git is asked about."""


@frozen
class SiteFacts:
    """What is asked about. ``tree`` holds the release's files, of which ``paths`` are relative to it; ``written``: when
    the release was installed (seconds since the epoch). ``version`` and ``image`` are those that an update would bring.

    ``root`` is where this machine's own files begin; tests give another.
    """

    tree: Path
    paths: Sequence[str]
    app: str = "app"
    written: float | None = None
    version: str = ""
    image: str = ""
    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def sample(self) -> list[str]:
        """A few of the paths that are really there, spread over the release."""
        step = max(1, len(self.paths) // SAMPLE)
        return [path for path in list(self.paths)[::step][: 2 * SAMPLE] if (self.tree / path).is_file()][:SAMPLE]


@frozen
class Keeper:
    """Who keeps the tree, as a clause after "this site", and the command that updates it instead."""

    what: str
    command: str


def find_keeper(site: SiteFacts) -> Keeper | None:
    """The first that is found, or None when the files are the updater's to change."""
    return _store(site) or _git(site) or _container(site) or _package(site) or _read_only(site)


def keeper_finding(keeper: Keeper | None, policy: OverridePolicy) -> Finding:
    """What doctor and plan say about it."""
    if keeper is None:
        return Finding("managed", "ok", "No other tool keeps the site's files.")
    advice = f'{keeper.command}. Or set [policy] managed = "allow" in updater.toml.'
    return Finding("managed", "error" if policy == "refuse" else "warning", f"this site {keeper.what}.", advice)


def refuse_kept(keeper: Keeper | None, policy: OverridePolicy) -> None:
    """Raise BlockedError, with the command that fits, unless the owner allows it."""
    if keeper is not None and policy == "refuse":
        raise BlockedError(
            "This site is kept by another tool, so it is not updated here.",
            reasons=(f"This site {keeper.what}.", f"Update it with: {keeper.command}"),
            hint='If Tagship shall update it all the same, set [policy] managed = "allow" in updater.toml.',
        )


# stores


def _store(site: SiteFacts) -> Keeper | None:
    where = _inside(site.root, Path(os.path.realpath(site.tree)))
    if where.startswith("/nix/store/"):
        return Keeper("lies in the Nix store", "nixos-rebuild switch --upgrade (or nix profile upgrade)")
    if where.startswith("/gnu/store/"):
        return Keeper("lies in the Guix store", "guix upgrade")
    if snap := re.match(r"/(?:var/lib/snapd/)?snap/([^/]+)/", where):
        return Keeper(f"is the snap {snap[1]}", f"snap refresh {shlex.quote(snap[1])}")
    return None


def _inside(root: Path, path: Path) -> str:
    """``path`` as the machine whose files begin at ``root`` calls it."""
    real = Path(os.path.realpath(root))
    return f"/{path.relative_to(real)}" if path.is_relative_to(real) else str(path)


# git


def _git(site: SiteFacts) -> Keeper | None:
    top = next((folder for folder in (site.tree, *site.tree.parents) if (folder / ".git").exists()), None)
    if top is None:
        return None
    listed = _ask_git(site, "ls-files", "-z", "--", *site.sample) if site.sample else None
    if listed is None or listed.returncode:
        if top != site.tree:
            return None  # somewhere above, and git cannot say whether these files belong to it
    else:
        tracked = {name.rpartition("\n")[2] for name in listed.output.split("\0")}  # a warning may stand before
        if tracked.isdisjoint(site.sample):
            return None
    where = shlex.quote(str(site.tree))
    branch = _ask_git(site, "symbolic-ref", "--quiet", "HEAD")
    if branch is not None and branch.returncode == 0:
        return Keeper(f"is a git checkout ({top})", f"git -C {where} pull")
    tag = f"v{site.version}" if site.version else "TAG"
    return Keeper(f"is a git checkout ({top})", f"git -C {where} fetch --tags && git -C {where} checkout {tag}")


def _ask_git(site: SiteFacts, *words: str) -> Completed | None:
    """Ask without running or changing anything of the repository's own: it may be another user's."""
    options = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    environ = {name: value for name, value in site.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": "", "LC_ALL": "C"}
    command = ["git", *options, "--literal-pathspecs", "-C", str(site.tree), *words]
    return _ask(command, environ)


# containers


def _container(site: SiteFacts) -> Keeper | None:
    """A tree that came with the image is gone with the container; one on a volume is not."""
    found: Container | None = find_container(site.root, site.environ, site.tree)
    if found is None or found.mount != "/":
        return None
    if site.written is not None and found.started is not None and site.written > found.started:
        return None  # installed into the running container, by whoever installs things there
    if found.kind == "kubernetes":
        image = site.image or f"IMAGE:{site.version or 'TAG'}"
        name = shlex.quote(site.app)
        command = f"kubectl set image deployment/{name} {name}={shlex.quote(image)}"
        return Keeper("is part of a container image (Kubernetes)", command)
    tool = "podman" if found.kind == "podman" else "docker"
    pull = f"{tool} pull {shlex.quote(site.image)}" if site.image else f"{tool} compose pull"
    named = " with that image in the compose file (`updater container` does both, outside)" if site.image else ""
    return Keeper(f"is part of a container image ({tool})", f"{pull} && {tool} compose up -d{named}")


# package managers


def _package(site: SiteFacts) -> Keeper | None:
    paths = [_inside(site.root, Path(os.path.realpath(site.tree / path))) for path in site.sample]
    paths = [path for path in paths if not re.search(r"[*?\[\]\\\n]", path)]  # dpkg takes these for patterns
    if not paths:
        return None
    root = os.path.realpath(site.root)
    elsewhere = root != "/"
    environ = {**site.environ, "LC_ALL": "C"}
    if (site.root / "var/lib/dpkg/status").is_file():
        options = [f"--admindir={root}/var/lib/dpkg"] if elsewhere else []
        done = _ask(["dpkg-query", *options, "--search", *paths], environ)
        if name := _first(
            done, r"^([a-z0-9][a-z0-9.+-]+)(?::[a-z0-9-]+)?(?:, [^:/]+(?::[a-z0-9-]+)?)*: /", "diversion"
        ):
            return Keeper(f"belongs to the Debian package {name}", f"apt-get install --only-upgrade {name}")
    # rpm makes a database where it finds none: it is asked only where there is one
    folders = [
        folder
        for folder in ("usr/lib/sysimage/rpm", "var/lib/rpm")
        if any((site.root / folder / name).is_file() for name in ("rpmdb.sqlite", "Packages.db", "Packages"))
    ]
    if folders:
        options = [*(["--root", root] if elsewhere else []), "--dbpath", f"/{folders[0]}"]
        done = _ask(["rpm", *options, "-qf", "--qf", "%{NAME}\\n", *paths], environ)
        if name := _first(done, r"^([A-Za-z0-9][A-Za-z0-9._+-]*)$"):
            return Keeper(f"belongs to the RPM package {name}", f"dnf upgrade {name}")
    if (site.root / "var/lib/pacman/local").is_dir():
        options = ["--root", root] if elsewhere else []
        done = _ask(["pacman", *options, "-Qqo", *paths], environ)
        if name := _first(done, r"^([a-z0-9@_+][a-z0-9@._+-]*)$"):
            return Keeper(f"belongs to the Arch package {name}", "pacman -Syu")
    if (site.root / "lib/apk/db/installed").is_file():
        options = ["--root", root] if elsewhere else []
        done = _ask(["apk", *options, "info", "--who-owns", "--quiet", *paths], environ)
        if name := _first(done, r"^([a-z0-9][a-z0-9._+-]*?)(?:-[0-9][^ -]*-r[0-9]+)?$"):
            return Keeper(f"belongs to the Alpine package {name}", f"apk upgrade {name}")
    return None


def _first(done: Completed | None, pattern: str, never: str = "\0") -> str:
    """The first name that a package manager printed; it also complains about files that are nobody's."""
    for line in "" if done is None else done.output.splitlines():
        found = re.match(pattern, line)
        if found and not line.startswith(never):
            return found[1]
    return ""


# filesystems


def _read_only(site: SiteFacts) -> Keeper | None:
    try:
        status = os.statvfs(site.tree)
    except OSError:
        return None
    if not status.f_flag & os.ST_RDONLY:
        return None
    where = site.tree
    while not where.is_mount() and where != where.parent:
        where = where.parent
    mount = shlex.quote(str(where))
    return Keeper(f"lies on a read-only filesystem ({where})", f"mount -o remount,rw {mount}, if it is not an image")


def _ask(command: Sequence[str], environ: Mapping[str, str]) -> Completed | None:
    try:
        return run(command, timeout=TIMEOUT, env=environ, cwd=Path("/"))
    except CommandError:
        return None
