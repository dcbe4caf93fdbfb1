"""Targets: the signed documents, the settings, and the small vocabularies in them."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.schema.documents import documented, golden
from tests.torture.fuzz.mutations import STRINGS, byte_level, lines, mostly
from tests.torture.fuzz.structured import json_document, toml_document
from tests.torture.fuzz.target import Target, Wrong, stateless
from updater.acquire import addresses_of, package_path
from updater.database.pg_url import connection_environment
from updater.errors import ConfigError, DatabaseError, FeedError, SchemaError
from updater.install.changes import compute_changes
from updater.install.shared import shared_names
from updater.process import plan_commands
from updater.schema.feed import ArchiveLink, ArchivePage, Feed
from updater.schema.globs import matches_any
from updater.schema.manifest import Manifest
from updater.schema.paths import RESERVED_NAMES, check_path, check_symlink, find_collisions
from updater.schema.publisher_config import PublisherConfig
from updater.schema.site_config import CommandsConfig
from updater.schema.version_file import VersionFile
from updater.selection import select
from updater.site import Site
from updater.transport.urls import insecure_reason, is_loopback, shown
from updater.trust.archive import check_page
from updater.trust.names import FeedLocation

__all__ = ["NOW", "TARGETS", "must_be_a_name", "must_be_inside"]

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def must_be_inside(path: str) -> None:
    """What no accepted path may be, said in other words than the product's."""
    escapes = posixpath.normpath(f"/tree/{path}") != f"/tree/{path}" or posixpath.isabs(path)
    if escapes or "\\" in path or ":" in path or any(ord(char) < 32 for char in path):
        raise Wrong(f"accepted the path {path!r}")
    if path.split("/", maxsplit=1)[0].lower() in RESERVED_NAMES:
        raise Wrong(f"accepted the site's own name {path!r}")


def must_be_a_name(name: str) -> None:
    """What no accepted name of a directory of ours may be."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        raise Wrong(f"accepted the name {name!r}")


def _feed(data: bytes) -> None:
    feed = Feed.parse(data)
    if Feed.parse(feed.to_bytes()) != feed:
        raise Wrong("is not read back as it was")
    for installed in (None, "1.0.0"):
        select(feed, installed, site_id="0" * 32, now=NOW, python="3.11.7", automatic=True)
    for release in feed.releases:
        addresses_of(release.package.urls, "https://a.example/shop/stable.json")
        must_be_a_name(package_path(Path(), release).name)


def _archive(data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    link = ArchiveLink("archive/1.json", len(data), digest, newest="0.9.0", oldest="0.8.0", count=2)
    feed = Feed(app="shop", channel="beta", sequence=1, generated=NOW, releases=())
    for release in check_page(data, link, feed):
        must_be_a_name(package_path(Path(), release).name)
    page = ArchivePage.parse(data)
    if ArchivePage.parse(page.to_bytes()) != page:
        raise Wrong("is not read back as it was")
    if (page.app, page.channel, len(page.releases)) != ("shop", "beta", 2):
        raise Wrong("is not the page that the feed links to")


def _manifest(data: bytes) -> None:
    manifest = Manifest.parse(data)
    if Manifest.parse(manifest.to_bytes()) != manifest:
        raise Wrong("is not read back as it was")
    for path, file in manifest.files.items():
        must_be_inside(path)
        if file.symlink is not None:
            _must_stay(path, file.symlink)
        matches_any(path, manifest.preserve)
    compute_changes(None, manifest, {}, "overwrite")
    shared_names(manifest.preserve)
    plan_commands(manifest.post_update_commands, CommandsConfig(allow=("migrate",)))


def _must_stay(path: str, target: str) -> None:
    landed = posixpath.normpath(posixpath.join("/a/b", posixpath.dirname(path), target))
    if posixpath.isabs(target) or not (landed + "/").startswith("/a/b/"):
        raise Wrong(f"accepted the symlink {path!r} to {target!r}")


def _version(data: bytes) -> None:
    found = VersionFile.parse(data)
    if VersionFile.parse(found.to_bytes()) != found:
        raise Wrong("is not read back as it was")


def _updater_toml(folder: Path) -> Callable[[bytes], None]:
    site = Site(folder)

    def work(data: bytes) -> None:
        site.config_path.write_bytes(data)
        config = site.config()
        try:
            FeedLocation.parse(config.feed_url)
        except ConfigError:
            pass

    return work


def _feedgen_toml(data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    PublisherConfig.parse(text)


def _text_of(data: bytes) -> str:
    """Text as a command line has it: what is not UTF-8 becomes lone surrogates, and so do encoded ones."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def _globs(data: bytes) -> None:
    path, *patterns = _text_of(data).split("\n")
    found = [pattern for pattern in patterns if matches_any(path, [pattern])]
    if len(path) < 60:
        for pattern in patterns:
            if (
                len(pattern) < 30
                and pattern.count("*") < 6
                and _matches(path.split("/"), pattern) != (pattern in found)
            ):
                raise Wrong(f"{pattern!r} on {path!r}: {pattern in found}")


def _matches(segments: list[str], pattern: str) -> bool:
    """docs/formats.md 1.3, once more, as plainly as it can be said."""
    tied = "/" in pattern.rstrip("/")
    text = pattern.lstrip("/")
    text += "**" if text.endswith("/") else ""
    return _walk(segments, text.split("/") if tied else ["**", *text.split("/")])


def _walk(segments: list[str], parts: list[str]) -> bool:
    if not parts:
        return not segments
    if parts[0] == "**":
        first = 1 if len(parts) == 1 else 0  # what ends in ** matches what is inside, not the folder itself
        return any(_walk(segments[count:], parts[1:]) for count in range(first, len(segments) + 1))
    return bool(segments) and _one(segments[0], parts[0]) and _walk(segments[1:], parts[1:])


def _one(segment: str, part: str) -> bool:
    if not part:
        return not segment
    if part[0] == "*":
        return _one(segment, part[1:]) or (bool(segment) and _one(segment[1:], part))
    return bool(segment) and part[0] in ("?", segment[0]) and _one(segment[1:], part[1:])


def _paths(data: bytes) -> None:
    names = _text_of(data).split("\n")[:40]
    accepted = []
    for name in names:
        try:
            check_path(name)
        except ValueError:
            continue
        must_be_inside(name)
        accepted.append(name)
    find_collisions(names)
    if not find_collisions(accepted) and len({name.casefold() for name in accepted}) != len(accepted):
        raise Wrong("no collision found")
    for path in accepted[:5]:
        for target in names:
            try:
                check_symlink(path, target)
            except ValueError:
                continue
            _must_stay(path, target)
    check_path(names[0])


def _addresses(data: bytes) -> None:
    url = _text_of(data)
    told = shown(url)
    try:
        secret = urlsplit(url).password
    except ValueError:
        secret = None
    if secret and f":{secret}@" in told.partition("://")[2].partition("/")[0]:
        raise Wrong(f"shows a password: {told!r}")
    insecure_reason(url)
    is_loopback(url)
    found = FeedLocation.parse(url)
    if not re.match(r"https://|http://(localhost|127\.|\[::1\])", found.url, re.IGNORECASE):
        raise Wrong(f"accepted {url!r}")


def _pg_url(data: bytes) -> None:
    url = os.fsdecode(data)
    env = connection_environment(url, {})
    for name, value in env.items():
        if "\0" in os.fsencode(name + value).decode("latin-1"):
            raise Wrong(f"{name} holds a NUL")


def _documents(kind: str) -> Callable[[], list[bytes]]:
    return lambda: [example.data for example in (*golden(), *documented()) if example.kind == kind]


def _rows(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode("utf-8", "surrogatepass") for text in texts]


_json: Any = mostly((9, json_document), (2, byte_level))
_text: Any = mostly((2, lines), (1, byte_level))

TARGETS = [
    Target("feed", "a channel's feed", _documents("feed"), _json, stateless(_feed), (SchemaError,), 60_000),
    Target(
        "archive", "an archive page of a feed", _documents("archive"), _json, stateless(_archive), (FeedError,), 30_000
    ),
    Target(
        "manifest", "update_manifest.json", _documents("manifest"), _json, stateless(_manifest), (SchemaError,), 60_000
    ),
    Target("version", "version.json", _documents("version"), _json, stateless(_version), (SchemaError,), 30_000),
    Target("updater-toml", "updater.toml", _documents("updater"), toml_document, _updater_toml, (ConfigError,), 50_000),
    Target(
        "feedgen-toml",
        "feedgen.toml",
        _documents("feedgen"),
        toml_document,
        stateless(_feedgen_toml),
        (ConfigError,),
        20_000,
    ),
    Target(
        "globs",
        "a path, and globs",
        _rows(
            "media/a/b.jpg\n/media/\n*.jpg\n**/b.*\n/media/?/b.jpg\nmedia/**/b.jpg\n*", "db.sqlite3-wal\n/db.sqlite3-*"
        ),
        _text,
        stateless(_globs),
        (),
        60_000,
    ),
    Target(
        "paths",
        "paths of a tree, and targets of symlinks",
        _rows("app/a.py\n../b\ndocs/latest\napp/A.py\n1.1", "\n".join(STRINGS), "a/b/c\n../../x\n../c\na\na/b"),
        _text,
        stateless(_paths),
        (ValueError,),
        50_000,
    ),
    Target(
        "addresses",
        "the address of a feed",
        _rows(
            "https://acme.github.io/shop/stable.json", "http://127.0.0.1:8000/beta.json", "https://u:geheim@a.example/x"
        ),
        _text,
        stateless(_addresses),
        (ConfigError,),
        40_000,
    ),
    Target(
        "postgresql-url",
        "the address of a database",
        _rows(
            "postgresql://user:pass%20word@db.example:5432/shop?sslmode=require&connect_timeout=3",
            "postgres+psycopg://u@[::1]:5433,h2:5434/x?options=-c%20a%3Db",
            "postgresql:///shop?host=/run/postgresql",
        ),
        _text,
        stateless(_pg_url),
        (DatabaseError,),
        35_000,
    ),
]
