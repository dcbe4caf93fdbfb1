"""A shop whose package is large and whose changes are small, a site of it, and what was asked of its servers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.deltas import make_delta
from tests.support.packages import Built, Symlink, make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.events import Event
from updater.schema.feed import Delta, Release
from updater.site import Layout

__all__ = ["BASE", "Shop", "noise", "text"]

Tree = Mapping[str, bytes | Symlink]


def noise(seed: int, size: int = 20_000) -> bytes:
    """Bytes that nothing makes smaller."""
    return random.Random(seed).randbytes(size)


def text(seed: int, size: int = 20_000) -> bytes:
    """Bytes that deflate makes a little smaller, and in which a small edit is a small change."""
    chooser = random.Random(seed)
    return bytes(chooser.choices(b"abcdefghijklmnopqrstuvwxyz_=() \n", k=size))


BASE: dict[str, bytes | Symlink] = {
    **{f"shop/part{number}.py": text(number) for number in range(12)},
    **{f"static/picture{number}.png": noise(100 + number) for number in range(6)},
    "shop/empty.py": b"",
    "docs/latest": Symlink("v1"),
    "manage.py": b"print(1)\n",
}


@dataclass
class Shop:
    """Everything in memory: the publisher is the transport."""

    folder: Path
    layout: Layout = "in-place"
    publisher: SitePublisher = field(default_factory=SitePublisher)
    built: dict[str, Built] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "site"

    @property
    def tree(self) -> Path:
        return self.path / "current" if self.layout == "slots" else self.path

    def publish(
        self, version: str, tree: Tree, *, index: bool = True, deltas: Sequence[str] = (), **more: Any
    ) -> Release:
        """Publish a release that knows all earlier ones, with deltas from these versions."""
        before = list(self.built.values())[::-1] if index else []
        built = make_package(tree, version=version, before=before, **more)
        release = self.publisher.publish(built)
        self.built[version] = built
        return self.add_deltas(version, *deltas) if deltas else release

    def add_deltas(self, version: str, *olds: str) -> Release:
        """List deltas to a release that is published."""
        listed = []
        for old in olds:
            data = make_delta(self.folder, self.built[old], self.built[version], workers=1).path.read_bytes()
            delta = Delta(old, (f"packages/shop-{old}-{version}.delta",), len(data), _sha256(data))
            self.publisher.files[delta.urls[0]] = data
            listed.append(delta)
        return self.publisher.change(version, deltas=tuple(listed))

    def set_up(self, tree: Tree = BASE, version: str = "1.0.0") -> Shop:
        """Publish the first release, and install it."""
        self.publish(version, tree)
        set_up_site(
            self.publisher.url, self.path, root=self.publisher.root, transport=self.publisher, layout=self.layout
        )
        self.publisher.repository.asked()
        return self

    def updater(self, transport: Any = None) -> Updater:
        """A new process, as far as it matters."""
        return Updater(self.path, transport=transport or self.publisher, report=self.events.append)

    def configure(self, line: str) -> None:
        """Add to ``[download]`` of updater.toml."""
        config = self.path / "updater.toml"
        config.write_text(f"{config.read_text()}\n[download]\n{line}\n")

    def update(self, transport: Any = None) -> str:
        """Update to the newest release, and name the way that was planned."""
        updater = self.updater(transport)
        plan = updater.plan()
        updater.install(plan)
        return plan.sources[0].kind

    def asked(self) -> dict[str, int]:
        """Bytes asked for since the last call, by the kind of file."""
        found: dict[str, int] = {}
        for request in self.publisher.repository.requests:
            if request.path.startswith("packages/"):
                whole = len(self.publisher.files.get(request.path, b""))
                end = whole if request.end is None else min(request.end, whole)
                kind = request.path.rpartition(".")[2]
                found[kind] = found.get(kind, 0) + end - request.start
        self.publisher.repository.requests.clear()
        return found

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if event.kind == "warning"]

    def check(self, version: str, *, edited: Mapping[str, bytes] | None = None) -> None:
        """The site is at ``version``, every file as released (but for ``edited``), and nothing is left over."""
        updater = self.updater()
        assert updater.site.state().version == version
        assert updater.site.manifest_bytes() == self.built[version].manifest_bytes
        manifest = self.built[version].manifest
        verified = updater.verify()
        assert (verified.missing, set(verified.changed)) == ((), set(edited or {}))
        for path, file in manifest.files.items():
            live = self.tree / path
            if file.symlink is None and live.exists():
                assert live.stat().st_nlink == 1 or self.layout == "slots"
        assert not updater.site.downloads.exists()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
