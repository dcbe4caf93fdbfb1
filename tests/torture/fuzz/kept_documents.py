"""Hostile inputs that are kept: signed documents, settings and the small vocabularies (see `kept.py`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["CASES", "Case", "edited"]

Case = tuple[bytes, str]
"""An input, and what must come of it: ``accepted``, or the name of the error and a part of its message."""

Edit = Callable[[dict[str, Any]], object]

DIGEST = "ab" * 32
RELEASE: dict[str, Any] = {
    "version": "1.1.0",
    "published": "2026-01-20T10:00:00Z",
    "package": {
        "urls": ["packages/shop-1.1.0.zip"],
        "size": 1000,
        "sha256": DIGEST,
        "tail": {"offset": 900, "size": 100},
    },
    "manifest": {"size": 50, "sha256": DIGEST},
}
FEED: dict[str, Any] = {
    "schema": "1.0",
    "app": "shop",
    "channel": "stable",
    "sequence": 7,
    "generated": "2026-01-20T10:05:00Z",
    "releases": [RELEASE],
}
FILE: dict[str, Any] = {"path": "app/a.py", "action": "update", "sha256": DIGEST, "size": 5, "mode": "0644"}
MANIFEST: dict[str, Any] = {
    "schema": "1.0",
    "app": "shop",
    "version": "1.1.0",
    "channel": "stable",
    "release_date": "2026-01-20T10:00:00Z",
    "files": [FILE],
}
VERSION: dict[str, Any] = {
    "schema": "1.0",
    "app": "shop",
    "version": "1.1.0",
    "channel": "stable",
    "commit": None,
    "date": "2026-01-20T10:00:00Z",
}


def edited(document: dict[str, Any], edit: Edit) -> bytes:
    """A document with one thing changed."""
    copy = json.loads(json.dumps(document))
    edit(copy)
    return json.dumps(copy).encode("utf-8", "surrogatepass")


def _feed(edit: Edit, expected: str) -> Case:
    return edited(FEED, edit), f"SchemaError: {expected}"


def _release(key: str, value: Any, expected: str) -> Case:
    return _feed(lambda feed: feed["releases"][0].update({key: value}), expected)


def _package(key: str, value: Any, expected: str) -> Case:
    return _feed(lambda feed: feed["releases"][0]["package"].update({key: value}), expected)


def _file(change: dict[str, Any], expected: str) -> Case:
    return edited(MANIFEST, lambda manifest: manifest["files"][0].update(change)), f"SchemaError: {expected}"


def _path(path: str, expected: str) -> Case:
    return _file({"path": path}, expected)


def _link(target: str, expected: str) -> Case:
    link = {"symlink": target}
    return edited(MANIFEST, lambda manifest: (manifest["files"][0].pop("mode"), manifest["files"][0].update(link))), (
        f"SchemaError: {expected}"
    )


def _two(first: str, second: str, expected: str) -> Case:
    files = [FILE | {"path": first}, FILE | {"path": second}]
    return edited(MANIFEST, lambda manifest: manifest.update(files=files)), f"SchemaError: {expected}"


def _manifest(edit: Edit, expected: str) -> Case:
    return edited(MANIFEST, edit), f"SchemaError: {expected}"


def _version(key: str, value: Any, expected: str) -> Case:
    return edited(VERSION, lambda version: version.update({key: value})), f"SchemaError: {expected}"


def _toml(text: str, expected: str) -> Case:
    head = "" if text.startswith("!") else '[feed]\nurl = "https://a.example/stable.json"\n'
    return (head + text.removeprefix("!")).encode("utf-8", "surrogatepass"), f"ConfigError: {expected}"


def _text(text: str, expected: str) -> Case:
    return text.encode("utf-8", "surrogatepass"), expected


_WHOLE = json.dumps(FEED).encode()

_FEED: dict[str, Case] = {
    "empty": (b"", "SchemaError: not JSON"),
    "a-web-page": (b"<!DOCTYPE html><title>404</title>", "SchemaError: not JSON"),
    "a-list": (b"[]", "SchemaError: must be an object"),
    "two-documents": (_WHOLE + _WHOLE, "SchemaError: Extra data"),
    "cut-off": (_WHOLE[:-40], "SchemaError: not JSON"),
    "byte-order-mark": (b"\xef\xbb\xbf" + _WHOLE, "SchemaError: BOM"),
    "utf-16": (json.dumps(FEED).encode("utf-16"), "SchemaError: not UTF-8"),
    "overlong-utf-8": (_WHOLE.replace(b"shop", b"sh\xc0\xafp", 1), "SchemaError: not UTF-8"),
    "surrogate-as-utf-8": (_WHOLE.replace(b"shop", b"\xed\xa0\x80", 1), "SchemaError: not UTF-8"),
    "nul-byte": (_WHOLE.replace(b"shop", b"sh\0p", 1), "SchemaError: Invalid control character"),
    "nul-escaped": (_WHOLE.replace(b"shop", b"sh\\u0000p", 1), "SchemaError: NUL"),
    "lone-surrogate": (_WHOLE.replace(b"shop", b"\\ud800", 1), "SchemaError: surrogate"),
    "lone-surrogate-in-a-key": (b'{"x": {"\\udfff": 1}}', "SchemaError: surrogate"),
    "terminal-escape-in-a-key": (b'{"\\u001b[31mred": {"\\udfff": 1}}', "SchemaError: \\x1b[31mred"),
    "terminal-escape-in-a-value": _release("version", "\x1b]0;title\x07", "normal form"),
    "text-direction-changed": _release("version", "1.0\u202e0.1", "normal form"),
    "duplicate-key": (b'{"schema": "1.0", "schema": "1.0"}', "SchemaError: stands twice"),
    "duplicate-key-deep-inside": (b'{"x": [{"a": 1, "a": 2}]}', "SchemaError: stands twice"),
    "nan": (b'{"x": NaN}', "SchemaError: NaN"),
    "infinity": (b'{"x": -Infinity}', "SchemaError: Infinity"),
    "number-overflows": (b'{"x": 1e999}', "SchemaError: too large"),
    "number-of-5000-digits": (b'{"sequence": ' + b"9" * 5000 + b"}", "SchemaError: not acceptable"),
    "nested-3000-deep": (b'{"x": ' + b"[" * 3000 + b"]" * 3000 + b"}", "SchemaError: "),
    "nested-65-deep": (b'{"x": ' + b"[" * 65 + b"]" * 65 + b"}", "SchemaError: nested"),
    "schema-from-the-future": (
        edited(FEED, lambda feed: feed.update(schema="2.0")),
        "UnsupportedSchemaError: this version reads",
    ),
    "schema-never-published": _feed(lambda feed: feed.update(schema="0.9"), "never published"),
    "schema-is-a-number": _feed(lambda feed: feed.update(schema=1.0), "must be a string"),
    "app-is-a-path": _feed(lambda feed: feed.update(app="../x"), "must be 1 to 64"),
    "app-of-65-letters": _feed(lambda feed: feed.update(app="a" * 65), "must be 1 to 64"),
    "channel-unknown": _feed(lambda feed: feed.update(channel="Stable"), "did you mean"),
    "channel-of-10000-letters": _feed(lambda feed: feed.update(channel="s" * 10_000), "must be one of"),
    "sequence-zero": _feed(lambda feed: feed.update(sequence=0), "at least 1"),
    "sequence-is-true": _feed(lambda feed: feed.update(sequence=True), "whole number"),
    "sequence-too-large": _feed(lambda feed: feed.update(sequence=2**63), "at least 1"),
    "releases-is-an-object": _feed(lambda feed: feed.update(releases={}), "must be a list"),
    "releases-are-2000-numbers": _feed(lambda feed: feed.update(releases=[1] * 2000), "and 900 more"),
    "version-twice": _feed(lambda feed: feed.update(releases=[RELEASE, RELEASE]), "listed twice"),
    "version-with-an-epoch": _release("version", "1!1.0", "normal form"),
    "version-local": _release("version", "1.0+cpu", "normal form"),
    "version-with-unicode-digits": _release("version", "１.0", "normal form"),
    "version-with-a-number-of-19-digits": _release("version", "9" * 19 + ".0", "normal form"),
    "version-with-a-line-feed": _release("version", "1.0\n", "normal form"),
    "time-without-zone": _release("published", "2026-01-20T10:00:00", "UTC time"),
    "time-in-february-30": _release("published", "2026-02-30T10:00:00Z", "not a time"),
    "time-in-year-0": _release("published", "0000-01-01T00:00:00Z", "not a time"),
    "size-negative": _package("size", -1, "from 22"),
    "size-of-4-gib": _package("size", 2**32, "from 22"),
    "tail-beyond-the-end": _package("tail", {"offset": 900, "size": 200}, "add up"),
    "tail-is-a-list": _package("tail", [900, 100], "must be an object"),
    "digest-in-capitals": _package("sha256", "AB" * 32, "64 lower-case"),
    "digest-of-63-digits": _package("sha256", "a" * 63, "64 lower-case"),
    "urls-empty": _package("urls", [], "at least 1"),
    "url-is-a-file": _package("urls", ["file:///etc/passwd"], "https URL"),
    "url-plain-http": _package("urls", ["http://a.example/x.zip"], "https URL"),
    "url-leaves-the-folder": _package("urls", ["../../x.zip"], "below the feed's folder"),
    "url-leaves-the-folder-encoded": _package("urls", ["a/%2e%2e/%2e%2e/x.zip"], "below the feed's folder"),
    "url-of-another-host-without-scheme": _package("urls", ["//evil.example/x.zip"], "below the feed's folder"),
    "url-with-a-backslash": _package("urls", ["\\\\evil.example\\x.zip"], "characters that a URL cannot have"),
    "url-with-a-line-feed": _package("urls", ["x.zip\r\nX-Header: 1"], "characters that a URL cannot have"),
    "url-with-half-an-ipv6-address": _package("urls", ["https://[::1/x.zip"], "Invalid IPv6"),
    "url-with-port-99999": _package("urls", ["https://a.example:99999/x"], "port"),
    "rollout-times-fall": _release(
        "rollout",
        {"salt": "x", "steps": [{"at": "2026-01-20T10:00:00Z", "percent": 5}] * 2},
        "times must rise",
    ),
    "rollout-of-101-percent": _release(
        "rollout", {"salt": "x", "steps": [{"at": "2026-01-20T10:00:00Z", "percent": 101}]}, "from 0 to 100"
    ),
    "cohorts-backwards": _release("cohorts", [[5, 4]], "first <= last"),
    "cohorts-of-true": _release("cohorts", [[False, True]], "first <= last"),
    "notes-are-a-string": _release("notes", "x", "must be an object"),
    "python-requirement-is-nonsense": (
        edited(FEED, lambda feed: feed["releases"][0].update(requires={"python": "==1.*,(("})),
        "accepted",
    ),
    "everything-unknown-is-kept": (edited(FEED, lambda feed: feed.update(x={"y": [1, None, "é"]})), "accepted"),
}

_MANIFEST: dict[str, Case] = {
    "path-traversal": _path("../../etc/cron.d/x", "'..' segment"),
    "path-traversal-inside": _path("app/../../x", "'..' segment"),
    "path-absolute": _path("/etc/passwd", "is absolute"),
    "path-of-a-drive": _path("C:/x", "colon"),
    "path-with-a-backslash": _path("..\\x", "backslash"),
    "path-with-a-stream": _path("a.txt:x", "colon"),
    "path-with-a-line-feed": _path("a\nb", "control character"),
    "path-with-a-terminal-escape": _path("\x1b[2J", "control character"),
    "path-with-a-c1-control": _path("a\x9bb", "control character"),
    "path-empty": _path("", "is empty"),
    "path-is-a-dot": _path(".", "'.'"),
    "path-with-a-trailing-slash": _path("app/", "empty"),
    "path-with-an-empty-segment": _path("app//a.py", "empty"),
    "path-with-a-trailing-dot": _path("app.", "dot or a space"),
    "path-with-a-trailing-space": _path("app /a.py", "dot or a space"),
    "path-is-con": _path("CON", "device"),
    "path-is-com-superscript-one": _path("com¹.txt", "device"),
    "path-is-nul-with-two-extensions": _path("x/NUL.tar.gz", "device"),
    "path-in-normal-form-d": _path("cafe\u0301.py", "normal form C"),
    "path-of-256-bytes-in-a-segment": _path("é" * 128, "longer than 255"),
    "path-of-1025-bytes": _path("a" * 200 + "/" + "b" * 200 + "/c" * 400, "longer than 1024"),
    "path-of-5000-segments": _path("a/" * 5000 + "a", "longer than 1024"),
    "path-of-2000-combining-marks": _path("a" + "\u0301\u0327" * 1000, "longer than 1024"),
    "path-is-the-state-directory": _path(".updater/journal", "belongs to the site"),
    "path-is-the-state-directory-in-capitals": _path(".UPDATER/x", "belongs to the site"),
    "path-is-the-settings": _path("updater.toml", "belongs to the site"),
    "path-is-the-manifest": _path("Update_Manifest.json", "belongs to the site"),
    "paths-twice": _two("a", "a", "stands twice"),
    "paths-differ-in-case": _two("README.md", "readme.md", "collide"),
    "paths-differ-in-case-of-a-folder": _two("App/a.py", "app/A.py", "collide"),
    "paths-differ-in-sharp-s": _two("straße", "strasse", "collide"),
    "paths-differ-in-ligature": _two("ﬁle", "file", "collide"),
    "paths-file-and-folder": _two("app", "app/a.py", "needs it to be a directory"),
    "paths-file-and-folder-in-other-case": _two("APP", "app/a.py", "needs it to be a directory"),
    "symlink-absolute": _link("/etc/passwd", "not a relative path"),
    "symlink-leaves-the-tree": _link("../../x", "leaves the tree"),
    "symlink-turns-back-in-the-middle": _link("../app/../../x", "only stand at the beginning"),
    "symlink-to-a-drive": _link("C:x", "not a relative path"),
    "symlink-with-a-backslash": _link("..\\x", "not a relative path"),
    "symlink-with-a-terminal-escape": _link("\x1b[31m", "not a relative path"),
    "symlink-empty": _link("", "is empty"),
    "symlink-with-a-mode": _file({"symlink": "b.py"}, "a symlink has none"),
    "mode-setuid": _file({"mode": "4755"}, "must be one of"),
    "mode-world-writable": _file({"mode": "0777"}, "must be one of"),
    "mode-is-a-number": _file({"mode": 420}, "must be a string"),
    "size-negative": _file({"size": -1}, "from 0"),
    "size-of-a-fraction": _file({"size": 1.5}, "whole number"),
    "digest-with-a-line-feed": _file({"sha256": DIGEST + "\n"}, "64 lower-case"),
    "action-unknown": _file({"action": "rename"}, "must be one of"),
    "deleted-twice": _manifest(
        lambda manifest: manifest.update(files=[{"path": "a", "action": "delete"}] * 2), "deleted twice"
    ),
    "deleted-and-updated": _manifest(
        lambda manifest: manifest["files"].append({"path": "app/a.py", "action": "delete"}), "updated and deleted"
    ),
    "deleted-outside": _manifest(
        lambda manifest: manifest.update(files=[{"path": "../x", "action": "delete"}]), "'..' segment"
    ),
    "files-missing": _manifest(lambda manifest: manifest.pop("files"), "is missing"),
    "files-of-numbers": _manifest(lambda manifest: manifest.update(files=[1, None, "x"]), "must be an object"),
    "command-with-nul": _manifest(lambda manifest: manifest.update(post_update_commands=["a\0b"]), "NUL"),
    "command-with-an-open-quote": (
        edited(MANIFEST, lambda manifest: manifest.update(post_update_commands=["migrate 'x"])),
        "accepted",
    ),
    "preserve-of-200-stars": (
        edited(MANIFEST, lambda manifest: manifest.update(preserve=["*a" * 200, "**/" * 100, "?" * 500])),
        "accepted",
    ),
}

_VERSION: dict[str, Case] = {
    "commit-too-short": _version("commit", "abc", "git commit"),
    "commit-in-capitals": _version("commit", "A" * 40, "git commit"),
    "commit-is-a-number": _version("commit", 7, "must be a string"),
    "date-is-a-date": _version("date", "2026-01-20", "UTC time"),
    "version-missing": _version("version", None, "is null"),
    "version-is-a-list": _version("version", ["1.0.0"], "must be a string"),
    "version-of-10000-digits": _version("version", "1" * 10_000, "normal form"),
    "channel-in-capitals": _version("channel", "STABLE", "must be one of"),
    "component-is-a-path": _version("component", "a/b", "must be 1 to 64"),
}

_UPDATER_TOML: dict[str, Case] = {
    "not-utf-8": (b'[feed]\nurl = "\xff"\n', "ConfigError: cannot be read"),
    "byte-order-mark": _toml("!\ufeff[feed]\n", "not valid TOML"),
    "nul": _toml("a = '\0'\n", "not valid TOML"),
    "no-feed": _toml("!schema = '1.0'\n", "is missing"),
    "feed-is-a-list": _toml("!feed = []\n", "must be an object"),
    "table-twice": _toml("[backup]\n[backup]\n", "not valid TOML"),
    "key-twice": _toml("[backup]\nmax_backups = 1\nmax_backups = 2\n", "not valid TOML"),
    "key-misspelt": _toml("[backup]\nmax_backup = 1\n", "did you mean 'max_backups'"),
    "key-of-5000-letters": _toml(f"[backup]\n{'k' * 5000} = 1\n", "unknown key"),
    "keys-1500-unknown": _toml("[x]\n" + "".join(f"k{n} = 1\n" for n in range(1500)), "unknown key"),
    "key-of-5000-parts": _toml(".".join("a" * 5000) + " = 1\n", "more than 50 parts in line 3"),
    "table-of-5000-parts": _toml("[" + ".".join("a" * 5000) + "]\n", "more than 50 parts in line 3"),
    "key-with-a-terminal-escape": _toml('"\\u001b[31m" = 1\n', "\\x1b[31m: unknown key"),
    "variable-with-a-terminal-escape": _toml('[commands]\nenv = {"\\u001b[31m" = "x"}\n', "environment variable"),
    "nested-2000-deep": _toml("a = " + "[" * 2000 + "\n", "TOML"),
    "inline-tables-2000-deep": _toml("a = " + "{a=" * 2000 + "\n", "TOML"),
    "number-of-5000-digits": _toml("[backup]\nmax_backups = " + "9" * 5000 + "\n", "TOML"),
    "hexadecimal-number-of-5000-digits": _toml("[backup]\nmax_backups = 0x" + "f" * 5000 + "\n", "far from that"),
    "number-is-infinite": _toml("[restart]\ntimeout = inf\n", "must be a number"),
    "number-is-nan": _toml("[restart]\ntimeout = nan\n", "must be a number"),
    "number-is-a-date": _toml("[restart]\ntimeout = 1979-05-27\n", "must be a number"),
    "text-is-a-date": _toml("[database]\nkind = 1979-05-27T07:32:00Z\n", "must be a string"),
    "bracket-and-3000-spaces-in-a-text": _toml('x = """\n[' + " " * 3000 + '\n"""\n', "unknown key"),
    "backups-negative": _toml("[backup]\nmax_backups = -1\n", "from "),
    "database-unknown": _toml('[database]\nkind = "oracle"\n', "must be one of"),
    "sqlite-without-path": _toml('[database]\nkind = "sqlite"\n', "needs the database file"),
    "command-without-file": _toml('[database]\nkind = "command"\nbackup = ["x"]\nrestore = ["x"]\n', "{file}"),
    "signal-without-pidfile": _toml('[restart]\nsignal = "HUP"\n', "go together"),
    "signal-kill": _toml('[restart]\nsignal = "KILL"\npidfile = "x"\n', "must be one of"),
    "variable-with-nul": _toml('[commands]\nenv = {A = "\\u0000"}\n', "NUL"),
    "feed-is-a-file": _toml('!feed.url = "file:///etc/stable.json"\n', "https URL"),
    "feed-over-plain-http": _toml('!feed.url = "http://a.example/stable.json"\n', "https URL"),
    "health-asks-a-file": _toml('[health]\nurl = "file:///etc/passwd"\n', "must begin with http"),
    "schema-from-the-future": (b'schema = "9.0"\n', "ConfigError: this version reads"),
}

_GLOBS: dict[str, Case] = {
    "stars-200-and-a-near-miss": _text("a" * 300 + "\n" + "a*" * 200 + "b", "accepted"),
    "double-stars-100-and-a-near-miss": _text("a/" * 100 + "a\n" + "**/a/" * 100 + "b", "accepted"),
    "question-marks-5000": _text("a" * 4999 + "\n" + "?" * 5000, "accepted"),
    "only-slashes": _text("a/b\n/\n//\n///", "accepted"),
    "brackets-mean-nothing": _text("[a-z]\n[a-z]\n[!a]\n{a,b}", "accepted"),
    "regular-expression": _text("a.b\n(a+)+$\na.*\n^a\n\\", "accepted"),
    "lone-surrogates": _text("\ud800\n\ud800\n*", "accepted"),
    "empty": _text("", "accepted"),
}

_PATHS: dict[str, Case] = {
    "surrogate": _text("\ud800", "ValueError: not valid Unicode"),
    "two-spellings-of-one-name": _text("café\ncafe\u0301\nCAFÉ", "accepted"),
    "dotless-i": _text("ı\nI\ni\nİ", "accepted"),
    "right-to-left-override": _text("\u202efdp.exe", "accepted"),
    "tilde": _text("~\n~root\n-rf\n$HOME", "accepted"),
    "device-and-a-space": _text("con .txt", "ValueError: device"),
}

_ADDRESSES: dict[str, Case] = {
    "empty": _text("", "ConfigError: not a complete URL"),
    "a-file": _text("file:///etc/stable.json", "ConfigError: cannot be used"),
    "plain-http": _text("http://a.example/stable.json", "ConfigError: not https"),
    "loopback-lookalike": _text("http://127.0.0.1.evil.example/stable.json", "ConfigError: not https"),
    "password": _text("https://u:geheim@a.example/stable.json", "ConfigError: contains a user name"),
    "query": _text("https://a.example/stable.json?token=geheim", "ConfigError: something after the file name"),
    "fragment": _text("https://a.example/stable.json#", "ConfigError: something after the file name"),
    "dots": _text("https://a.example/%2e%2e/stable.json", "ConfigError: '.' or '..'"),
    "no-channel": _text("https://a.example/", "ConfigError: does not end in the name"),
    "unknown-channel": _text("https://a.example/nightly.json", "ConfigError: unknown channel"),
    "line-feed": _text("https://a.example/x\nstable.json/beta.json", "ConfigError: cannot have"),
    "terminal-escape": _text("https://a.example/\x1b[31m/stable.json", "ConfigError: cannot have"),
    "half-an-ipv6-address": _text("https://[::1/stable.json", "ConfigError: not a complete URL"),
    "port-99999": _text("https://a.example:99999/stable.json", "ConfigError: not a complete URL"),
    "10000-letters": _text("https://a.example/" + "a" * 10_000, "ConfigError: does not end"),
    "host-that-normalises-to-a-slash": _text("https://a.example\u2100/stable.json", "ConfigError: not a complete URL"),
}

_PG_URL: dict[str, Case] = {
    "another-database": _text("mysql://u:geheim@h/db", "DatabaseError: not a PostgreSQL URL"),
    "half-an-ipv6-address": _text("postgresql://u:geheim@[::1/db", "DatabaseError: cannot be read"),
    "unknown-parameter": _text("postgresql://h/db?sslmod=require", "DatabaseError: sslmod"),
    "parameter-with-a-terminal-escape": _text("postgresql://h/db?\x1b[31m=1", "DatabaseError: \\x1b[31m"),
    "parameter-without-value": _text("postgresql://h/db?sslmode", "DatabaseError: cannot be read"),
    "nul-encoded": _text("postgresql://u:a%00b@h/db", "DatabaseError: cannot be read"),
    "empty": _text("", "DatabaseError: not a PostgreSQL URL"),
    "several-hosts": _text("postgresql://a:1,[::1]:2/db", "accepted"),
}

CASES: dict[str, dict[str, Case]] = {
    "feed": _FEED,
    "manifest": _MANIFEST,
    "version": _VERSION,
    "updater-toml": _UPDATER_TOML,
    "globs": _GLOBS,
    "paths": _PATHS,
    "addresses": _ADDRESSES,
    "postgresql-url": _PG_URL,
}
