"""Material for pages, made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from feedgen.page.model import Material
from feedgen.page.settings import PageSettings
from feedgen.page.trust import KeyInfo, RoleInfo, Trust
from updater.schema import CHANNELS, Feed, Package, Release, channel_of

START = datetime(2026, 1, 20, 10, tzinfo=UTC)


def release(version: str, number: int = 0, **values: Any) -> Release:
    package = Package((f"packages/shop-{version}.zip",), 1000, "b" * 64, 990, 10)
    given = {"published": START + timedelta(hours=number), "package": package} | values
    return Release(version=version, manifest_sha256="c" * 64, manifest_size=10, **given)


def feeds(releases: Sequence[Release]) -> dict[str, Feed]:
    """The feeds that list these releases, given in the order of publishing."""
    found = {}
    for place, channel in enumerate(CHANNELS):
        listed = [one for one in releases if CHANNELS.index(channel_of(one.version)) <= place]
        if listed:
            found[channel] = Feed("shop", channel, len(listed), listed[-1].published, tuple(reversed(listed)))
    return found


def trust() -> Trust:
    names = ("root", "targets", "stable", "beta", "alpha", "snapshot", "timestamp")
    end = START + timedelta(days=90)
    roles = tuple(RoleInfo(name, "Signs.", 1, (f"{name}-1",), 1, START, end) for name in names)
    return Trust("a" * 64, "a" * 64, 1, roles, (KeyInfo("root-1", "d" * 64, ("root",), 1, START),))


def material(releases: Sequence[Release], **values: Any) -> Material:
    settings = PageSettings("https://acme.example/shop/")
    given: dict[str, Any] = {"settings": settings, "minisign_public": "untrusted comment: x\nRWQkey\n"} | values
    return Material(app="shop", component="core", feeds=feeds(releases), trust=trust(), **given)
