"""The copy of the updater that an update leaves in ``.updater/bin/<id>/`` (standard library only).

It is the one that recovers, so that a broken installation of the updater, or a newer one with other ideas, cannot
stand in the way.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from updater.site.files import make_private_directory
from updater.site.site import Site

__all__ = ["ENTRY_NAME", "code_digest", "keep_code", "recovery_hint"]

ENTRY_NAME = "recover.py"
_HOME = Path(__file__).resolve().parents[1]
_PACKAGES = ("schema", "package", "site", "install", "database", "process")
_MODULES = ("errors.py", "events.py", "frozen.py")
_ENTRY = '''"""Recovers the site this lies in: python3 -S -E -I .updater/bin/<id>/recover.py"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).absolute().parent))
from updater.install.recover_main import main

sys.exit(main(Path(__file__).absolute().parents[3], sys.argv[1:]))
'''


def _files() -> Iterator[str]:
    """The modules that recovery needs, relative to the package, sorted."""
    for name in _PACKAGES:
        yield from sorted(path.relative_to(_HOME).as_posix() for path in (_HOME / name).glob("*.py"))
    yield from _MODULES


def code_digest() -> str:
    """Names the code that runs now: two updaters with the same digest recover alike."""
    digest = hashlib.sha256()
    for name in _files():
        digest.update(name.encode() + b"\0" + hashlib.sha256((_HOME / name).read_bytes()).digest())
    return digest.hexdigest()


def recovery_hint(site: Site, id: str) -> str:  # noqa: A002 - the journal's name for it
    """What a person does about an update whose undoing failed, as commands that can be pasted."""
    entry = site.bin / id / ENTRY_NAME
    here = shlex.quote(str(site.path))
    return (
        "Everything needed is kept. Remove the cause (a full disk, a missing permission, a database that does not "
        f"answer), then run `updater recover --site {here}`; without a working updater: "
        f"`python3 -I -S -E {shlex.quote(str(entry))}`. "
        "docs/reliability.md, section 8, tells how to put a site back by hand."
    )


def keep_code(directory: Path) -> None:
    """Copy the part of this updater that recovers into ``directory``, with an entry point; the caller flushes it."""
    make_private_directory(directory)
    target = directory / "updater"
    for name in _files():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_HOME / name, copy)
    (target / "__init__.py").write_text('"""The updater that began the update that is to be recovered."""\n')
    (directory / ENTRY_NAME).write_text(_ENTRY)
