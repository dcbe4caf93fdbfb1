"""Targets: a whole recovery of an update that was killed half-way, with one file of it damaged."""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from unittest import mock

from tests.engine.world import OWN, PRESERVE, V1, V2, World
from tests.torture.fuzz.documents import NOW
from tests.torture.fuzz.mutations import byte_level, mostly
from tests.torture.fuzz.structured import journal, json_document
from tests.torture.fuzz.target import Target, Wrong
from updater.errors import RollbackError, StateError
from updater.install.journal import Journal, State
from updater.install.kept_code import code_digest
from updater.site import Layout
from updater.site.files import copy_file

__all__ = ["LAYOUTS", "TARGETS", "contents", "copy", "interrupted"]

LAYOUTS: tuple[Layout, ...] = ("in-place", "slots")


@lru_cache(maxsize=2)
def interrupted(layout: Layout) -> tuple[Path, dict[str, tuple[object, ...]]]:
    """A site whose update was killed while it switched files, and what it looked like before. It is only copied."""
    home = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(_remove, home, os.getpid())
    world = World(home / "site", layout).create()
    world.now = lambda: NOW
    with _kept_code_is_this():
        world.update("1.0.0", V1, preserve=PRESERVE)
        world.own_files()
        before = world.snapshot()
        child = os.fork()
        if child == 0:
            _die_while_applying(world)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    return world.path, before


def _remove(home: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(home, ignore_errors=True)


def _die_while_applying(world: World) -> None:
    real, count = os.replace, 0

    def replace(source: object, target: object) -> None:
        nonlocal count
        last = Journal(world.site.journal_path).last()
        count += last is not None and last.state is State.APPLYING
        if count == (4 if world.layout == "in-place" else 2):
            os._exit(9)
        real(source, target)  # type: ignore[arg-type]

    with mock.patch.object(os, "replace", replace):
        world.update("2.0.0", V2, preserve=PRESERVE)
    os._exit(1)


def _kept_code_is_this() -> mock._patch[Callable[[], str]]:
    """The journal names the code that runs now, so that no other process is started to recover."""

    def keep_code(directory: Path) -> None:
        directory.mkdir()
        (directory / "recover.py").write_text("")

    return mock.patch("updater.install.begin.keep_code", keep_code)


def _damageable(layout: Layout) -> list[str]:
    """Files of the interrupted update that recovery reads, relative to the site."""
    site, _ = interrupted(layout)
    names = ("transaction.json", "manifest.json", "settings.json", "directories.json", "slot.json", "shared.json")
    found = [path for path in sorted((site / ".updater/staging").glob("*/*")) if path.name in names]
    found += [site / ".updater" / name for name in ("journal", "site.json", "manifest.json", "history.jsonl")]
    found += sorted((site / ".updater/backups").glob("*/restore_point.json"))
    return [path.relative_to(site).as_posix() for path in found]


def _seeds() -> list[bytes]:
    return [
        f"{layout} {name}\n".encode() + (interrupted(layout)[0] / name).read_bytes()
        for layout in LAYOUTS
        for name in _damageable(layout)
    ]


def _mutate(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The form of the damaged file decides."""
    head, _, body = data.partition(b"\n")
    bodies = [other.partition(b"\n")[2] for other in others[:8]]
    change = journal if head.endswith(b"journal") else json_document
    return head + b"\n" + mostly((4, change), (1, byte_level))(rng, body, bodies)


def _recovery(folder: Path) -> Callable[[bytes], None]:
    templates = {}
    for layout in LAYOUTS:
        site, before = interrupted(layout)
        templates[str(layout)] = copy(site, folder / f"template-{layout}"), before
    allowed = {f"{layout} {name}" for layout in LAYOUTS for name in _damageable(layout)}

    def work(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        if head.decode("latin-1") not in allowed:
            return
        layout, name = head.decode().split(" ")
        if name.endswith("journal") and not _is_ours(body):
            return  # another updater's own copy would recover it, in a process of its own
        template, before = templates[layout]
        site = folder / "site"
        shutil.rmtree(site, ignore_errors=True)
        copy(template, site)
        for identity in site.glob(".updater/staging/*/slot.json"):
            (built,) = (*site.glob("releases/.new-*"), *site.glob("releases/2.0.0"))
            identity.write_text(json.dumps({"inode": built.stat().st_ino}))
        (site / name).unlink()
        (site / name).write_bytes(body)
        world = World(site, layout)  # type: ignore[arg-type]
        try:
            outcome = world.recover()
        finally:
            for path, content in OWN.items():
                home = site / "shared" if layout == "slots" and path.startswith("media/") else world.tree
                if not name.endswith("slot.json") and (home / path).read_bytes() != content:
                    raise Wrong(f"the owner's {path} is gone")
        # a journal whose last records are missing cannot be told from one that never had them
        if (
            outcome is not None
            and outcome.result == "rolled-back"
            and not name.endswith(("journal", "directories.json"))
        ):
            now = contents(world.snapshot())
            if now != contents(before):
                raise Wrong(
                    f"rolled back to something else: {sorted(set(now.items()) ^ set(contents(before).items()))}"
                )

    return work


def _is_ours(body: bytes) -> bool:
    """Whether the first record names the code that runs here, or nothing that could be read as a record."""
    try:
        record = json.loads(body.partition(b"\n")[0].partition(b" ")[2])
    except (ValueError, RecursionError):
        return True
    return not isinstance(record, dict) or record.get("code") == code_digest()


def copy(site: Path, target: Path) -> Path:
    """A copy of a site, files and links with all that is set on them."""
    target.mkdir()
    for entry in site.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            copy(entry, target / entry.name)
        else:
            copy_file(entry, target / entry.name)
    shutil.copystat(site, target)
    return target


def contents(tree: dict[str, tuple[object, ...]]) -> dict[str, object]:
    """Files and links with their modes, without the number of links: the templates are copies."""
    return {path: (what[0], what[-1]) for path, what in tree.items() if not path.endswith("/")}


TARGETS = [
    Target(
        "recovery",
        "a recovery of an update that was killed, one file of it damaged",
        _seeds,
        _mutate,
        _recovery,
        (RollbackError, StateError),
        2_500,
        weight=40,
    ),
]
