"""The app's Python packages as a step of an update: a virtual environment for each set of them (standard library only).

A release may bring a file of requirements that are pinned by hash (docs/formats.md section 4). An environment is made
from it before anything is stopped, in a folder that is named after the file's digest and the interpreter::

    .environments/<digest>-<interpreter>/    made once, never changed, kept as long as a way back needs it
    venv -> .environments/<digest>-…         the one in use: what the update switches, and switches back

So the switch is one rename, the way back is the same rename, and neither needs a network.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from updater.errors import BlockedError, CommandError
from updater.frozen import frozen
from updater.process.run import run
from updater.schema.document import Reader
from updater.schema.manifest import Manifest
from updater.schema.paths import check_path
from updater.schema.python_config import PythonConfig
from updater.schema.text import check_digest
from updater.site.files import fsync_directory, remove_tree, sync_filesystem, write_atomic
from updater.site.looking import exists
from updater.site.reading import read_file
from updater.site.site import Site

__all__ = ["EnvironmentChange", "Requirements", "build", "forget_unused", "plan_environment", "switch"]

_FOLDER = ".environments"
_COMPLETE = ".tagship-complete"
_NAME = re.compile(r"[0-9a-f]{16}-[A-Za-z0-9._-]{1,40}")
_DIGITS = 16
_QUICK = 60.0


@frozen
class Requirements:
    """A file of the release that pins packages, and its SHA-256 (hex)."""

    path: str
    sha256: str


@frozen
class EnvironmentChange:
    """From which environment to which; ``old`` is None before the first. ``requirements``: what ``new`` is made from,
    the core's first; ``wheelhouses``: folders of the release."""

    old: str | None
    new: str
    requirements: tuple[Requirements, ...]
    wheelhouses: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        lists = {"requirements": [file.__dict__ for file in self.requirements], "wheelhouses": list(self.wheelhouses)}
        return self.__dict__ | lists

    @classmethod
    def read(cls, reader: Reader) -> EnvironmentChange:
        """Read it back; what is wrong is noted in ``reader``."""
        return cls(
            reader.optional_text("old", check=_check_name),
            reader.text("new", check=_check_name),
            tuple(
                Requirements(file.text("path", check=check_path), file.text("sha256", check=check_digest))
                for file in reader.children("requirements", required=True)
            ),
            reader.texts("wheelhouses", check=check_path),
        )


def _check_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError("is not the name of an environment")


def plan_environment(site: Site, manifest: Manifest | None, environ: Mapping[str, str]) -> EnvironmentChange | None:
    """What a transaction to ``manifest`` changes; None when it brings no requirements, or the owner wants none of this.
    ``manifest`` is whole: an outline does not know the digests.

    Raises BlockedError when the owner has something else where the link belongs, CommandError without a Python.
    """
    config = site.config().python
    if not config.environment or manifest is None:
        return None
    lists, wheelhouses = _lists(site, manifest)
    if not lists:
        return None
    link = site.path / config.environment
    if exists(link) and _in_use(site, config) is None:
        raise BlockedError(
            f"{link} is not a link that Tagship made, so the app's packages cannot be switched there.",
            hint="Move it away (the update makes a new one), or name another place with [python] environment.",
        )
    done = run([config.python, "-c", _ASK], timeout=_QUICK, env=environ)
    if done.returncode or not _NAME.fullmatch(name := f"{_digest(lists)}-{done.output.strip()}"):
        raise CommandError(
            f"`{config.python}` {done.outcome} and did not say which Python it is",
            output=done.output,
            hint="[python] python in updater.toml names what makes the app's environment.",
        )
    return EnvironmentChange(_in_use(site, config), name, lists, wheelhouses)


def _lists(site: Site, manifest: Manifest) -> tuple[tuple[Requirements, ...], tuple[str, ...]]:
    """The files of requirements of the core and its components, and the folders of wheels. Raises BlockedError."""
    parts = site.take_apart(manifest)
    places = [
        ("", parts.core.python),
        *((f"{p.directory}/", p.manifest.python) for _, p in sorted(parts.components.items())),
    ]
    lists, wheelhouses = [], []
    for directory, wanted in places:
        if wanted is None:
            continue
        file = manifest.files.get(f"{directory}{wanted.requirements}")
        if file is None or file.symlink is not None:
            raise BlockedError(
                f"The release's requirements, {directory}{wanted.requirements}, are not among its files."
            )
        lists.append(Requirements(file.path, file.sha256))
        wheelhouses += [f"{directory}{wanted.wheelhouse}"] if wanted.wheelhouse else []
    return tuple(lists), tuple(wheelhouses)


def _digest(lists: Sequence[Requirements]) -> str:
    """What names their environment: the digest of the one list, or over those of several."""
    joined = "".join(file.sha256 for file in lists)
    return (joined if len(lists) == 1 else hashlib.sha256(joined.encode()).hexdigest())[:_DIGITS]


_ASK = "import sys; print(sys.implementation.cache_tag + '.' + str(sys.version_info[2]))"


def build(
    site: Site,
    config: PythonConfig,
    change: EnvironmentChange,
    *,
    places: Iterable[Path],
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Make the new environment, unless it is there. ``places``: where the release's files lie, the new ones first.

    Raises CommandError; what was begun is made anew next time.
    """
    home = site.path / _FOLDER / change.new
    if (home / _COMPLETE).is_file():
        return
    remove_tree(home)
    home.parent.mkdir(exist_ok=True)
    places = tuple(places)
    say("Making an environment for the packages of this release.")
    _run([config.python, "-m", "venv", str(home)], config.timeout, environ)
    pip = [str(home / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--no-input", "--require-hashes"]
    pip += ["--disable-pip-version-check", "--only-binary", ":all:", *([] if config.index else ["--no-index"])]
    for number, wanted in enumerate(change.requirements):
        copy = home / f"requirements-{number}.txt"
        copy.write_bytes(_verified(wanted, places))
        pip += ["--requirement", str(copy)]
    for folder in (place / name for name in change.wheelhouses for place in places):
        pip += ["--find-links", str(folder)] if folder.is_dir() else []
    _run(pip, config.timeout, environ)
    sync_filesystem(home)
    write_atomic(home / _COMPLETE, b"", mode=0o644)


def _verified(wanted: Requirements, places: Iterable[Path]) -> bytes:
    """A list as it was signed, not as somebody may have edited it on this site. Raises CommandError, OSError."""
    path = next((path for place in places if exists(path := place / wanted.path)), None)
    data = b"" if path is None else read_file(path)
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise CommandError(
            f"{wanted.path} is not what the release has: packages are only installed from the list that was signed",
            hint="Remove your change to that file, or set [policy] edited to overwrite.",
        )
    return data


def _run(words: list[str], timeout: float, environ: Mapping[str, str]) -> None:
    done = run(words, timeout=timeout, env=environ)
    if done.returncode:
        raise CommandError(
            f"the app's packages could not be installed: {done.output[-1500:] or done.outcome}",
            output=done.output,
            hint="Every package must be pinned by hash, and come as a wheel. [python] index says where from.",
        )


def switch(site: Site, config: PythonConfig, change: EnvironmentChange, *, back: bool = False) -> None:
    """Let the link lead to the new environment, or ``back`` to the old one. Done twice it is the same.

    A link that leads to neither is somebody else's, and stays. Raises OSError.
    """
    link = site.path / config.environment
    wanted, present = (change.old, change.new) if back else (change.new, change.old)
    if not config.environment or _in_use(site, config) != present or (present is None and exists(link)):
        return
    if wanted is None:
        link.unlink()
    else:
        temporary = link.with_name(f".{link.name}.tagship")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.path.relpath(site.path / _FOLDER / wanted, link.parent), target_is_directory=True)
        os.replace(temporary, link)
    fsync_directory(link.parent)


def forget_unused(site: Site, config: PythonConfig, manifests: Iterable[Manifest]) -> None:
    """Remove environments that neither the link nor a restore point (``manifests``) needs. Raises OSError."""
    home = site.path / _FOLDER
    if not config.environment or not home.is_dir():
        return
    kept = {_in_use(site, config)}
    digests = {_digest(lists) for manifest in manifests if (lists := _lists(site, manifest)[0])}
    for entry in home.iterdir():
        if _NAME.fullmatch(entry.name) and entry.name not in kept and entry.name[:_DIGITS] not in digests:
            remove_tree(entry)


def _in_use(site: Site, config: PythonConfig) -> str | None:
    """The name of the environment that the link leads to; None when there is none of ours."""
    link = site.path / config.environment
    target = Path(os.readlink(link)) if link.is_symlink() else Path()
    return target.name if target.parent.name == _FOLDER and _NAME.fullmatch(target.name) else None
