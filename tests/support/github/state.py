"""What the fake remembers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Clock:
    """Seconds since the epoch that pass only when somebody sleeps; ``slept`` lists the pauses."""

    time: float = 1_790_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """The present moment."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.time += seconds


@dataclass
class Token:
    """``kind``: ``actions``, ``fine`` or ``classic``; ``permissions``: area to ``read`` or ``write``."""

    kind: str = "fine"
    permissions: dict[str, str] = field(default_factory=lambda: {"contents": "write", "metadata": "read"})

    def may(self, area: str, level: str) -> bool:
        """Whether it allows that much."""
        has = self.permissions.get(area, "read" if area == "metadata" else "")
        return has == "write" or has == level


@dataclass
class Asset:
    """A file of a release. ``claimed``: the digest that is told, when that is not the true one; ``downloads``:
    how often it was fetched, as GitHub would say."""

    id: int
    name: str
    data: bytes = b""
    content_type: str = "application/octet-stream"
    state: str = "uploaded"
    claimed: str | None = ""
    downloads: int = 0

    @property
    def digest(self) -> str | None:
        """What the API says; None for an old or a broken asset."""
        if self.claimed != "":
            return self.claimed
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}" if self.state == "uploaded" else None


@dataclass
class Release:
    """A release, published or a draft."""

    id: int
    tag: str
    name: str = ""
    body: str = ""
    draft: bool = False
    prerelease: bool = False
    immutable: bool = False
    assets: list[Asset] = field(default_factory=list)

    def asset(self, name: str) -> Asset | None:
        """The asset of that name."""
        return next((asset for asset in self.assets if asset.name == name), None)


@dataclass
class Repo:
    """A repository. ``tags``: name to commit; ``annotated``: those that are objects of their own.

    ``settings`` holds what the areas of settings answer with; see ``settings``.
    """

    full_name: str = "acme/shop"
    private: bool = False
    immutable_releases: bool = False
    renamed_from: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    annotated: set[str] = field(default_factory=set)
    releases: dict[int, Release] = field(default_factory=dict)
    latest: int | None = None
    public_after: int = 0
    """How many downloads of a public file are answered with 404 first."""
    settings: dict[str, Any] = field(default_factory=dict)

    def of_tag(self, tag: str, *, draft: bool | None = None) -> list[Release]:
        """Releases of a tag, oldest first."""
        return [r for r in self.releases.values() if r.tag == tag and draft in (None, r.draft)]


@dataclass
class Call:
    """A request that was answered; ``status`` 0: nothing was."""

    method: str
    path: str
    area: str
    status: int = 0

    @property
    def writes(self) -> bool:
        """Whether it was meant to change something."""
        return self.method != "GET" and not self.path.endswith(("/graphql", "/releases/generate-notes"))
