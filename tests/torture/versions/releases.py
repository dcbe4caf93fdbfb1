"""Ten made-up releases of one app, whose trees do everything that trees do between releases.

Files change, at the same size and at another; appear, vanish and come back; move, alone and with their folder; become
folders, links and files again; become executable and stop; bundles carry a new hash in their name each time. Each
release has its migrations of an SQLite database, run by its own ``manage.py``.
"""

from __future__ import annotations

import hashlib

from tests.support.packages import Built, Symlink, make_package

__all__ = ["APP", "MIGRATIONS", "PRESERVE", "VERSIONS", "make_release", "migrated_to", "settings"]

APP = "forum"
VERSIONS = ("1.0.0", "1.0.1", "1.1.0", "1.2.0", "1.2.1", "2.0.0", "2.1.0", "2.1.1", "2.2.0", "3.0.0")
PRESERVE = ("/media/", "/db.sqlite3", "/db.sqlite3-*")
MIGRATIONS = {
    1: ["CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price TEXT)"],
    2: ["ALTER TABLE post ADD COLUMN seen INTEGER NOT NULL DEFAULT 0"],
    4: ["CREATE TABLE tag (name TEXT PRIMARY KEY)", "INSERT INTO tag SELECT DISTINCT price FROM post"],
    5: ["ALTER TABLE post ADD COLUMN cents INTEGER", "UPDATE post SET cents = CAST(price * 100 AS INTEGER)"],
    7: ["ALTER TABLE post RENAME TO article", "CREATE INDEX by_title ON article (title)"],
    8: ["ALTER TABLE article DROP COLUMN price"],
    10: ["DROP TABLE tag", "UPDATE article SET title = upper(title)"],
}
"""By the number of the release that brings them: statements for the database."""

_MANAGE = '''"""Brings the database to this release: what is recorded there as applied is not applied again."""

import sqlite3
import sys
from pathlib import Path

MIGRATIONS = {migrations!r}

assert sys.argv[1:] == ["migrate"], sys.argv
database = sqlite3.connect(Path(__file__).with_name("db.sqlite3"), isolation_level=None)
database.execute("BEGIN IMMEDIATE")
database.execute("CREATE TABLE IF NOT EXISTS applied (number INTEGER PRIMARY KEY)")
applied = {{row[0] for row in database.execute("SELECT number FROM applied")}}
for number, statements in MIGRATIONS.items():
    if number not in applied:
        for statement in statements:
            database.execute(statement)
        database.execute("INSERT INTO applied VALUES (?)", (number,))
database.execute("COMMIT")
database.close()
'''


def settings(url: str, python: str) -> str:
    """The owner's settings."""
    return (
        f'[feed]\nurl = "{url}"\n[database]\nkind = "sqlite"\npath = "db.sqlite3"\n'
        f'[commands]\nrunner = ["{python}", "manage.py"]\nallow = ["migrate"]\n'
    )


def migrated_to(number: int) -> dict[int, list[str]]:
    """The migrations that the release ``number`` (1 to 10) knows."""
    return {key: value for key, value in MIGRATIONS.items() if key <= number}


def make_release(number: int, more: dict[str, bytes | Symlink] | None = None) -> Built:
    """The package of release ``number`` (1 to 10); ``more``: files besides those of `tree_of`."""
    files, executable = tree_of(number)
    return make_package(
        {**files, **(more or {})},
        app=APP,
        version=VERSIONS[number - 1],
        executable=executable,
        preserve=PRESERVE,
        commands=["migrate"],
        migrations=[f"forum.{key:04d}" for key in MIGRATIONS if key == number],
    )


def tree_of(n: int) -> tuple[dict[str, bytes | Symlink], list[str]]:
    """The files of release ``n``, and which of them can be executed."""
    bundle = f"static/bundle.{hashlib.sha256(bytes([n])).hexdigest()[:8]}.js"
    files: dict[str, bytes | Symlink] = {
        "manage.py": _MANAGE.format(migrations=migrated_to(n)).encode(),
        "app/__init__.py": b"",
        "app/core.py": b"RELEASE = %02d\n" % n,
        "app/stable.py": b"STABLE = True\n",
        "app/settings.py": b"DEBUG = False\n" + b"NEW = True\n" * (n >= 5),
        "app/templates/page.html": b"<p>%s</p>\n" % (b"x" * n),
        "private.txt": b"release %d\n" % (n // 3),
        "empty": b"",
        "pl\u00e4tze/mit leerzeichen.txt": b"%d\n" % (n // 2),
        "large.bin": hashlib.sha256(b"%d" % (n // 5)).digest() * 8_000,
        "media/sample.txt": b"a sample\n",
        "bin/tool": b"#!/bin/sh\n" + b"true\n" * (n // 4),
        "bin/other": b"#!/bin/sh\n",
        bundle: b"bundle(%d);" % n * 200,
        "latest.js": Symlink(bundle),
    }
    if n in (3, 4, 5, 6):  # a module becomes a package, and a module again
        files |= {"app/views.py/__init__.py": b"", "app/views.py/home.py": b"V = %d\n" % n}
    else:
        files["app/views.py"] = b"V = %d\n" % n
    if n < 4:  # a folder becomes a file, a link, and a folder again
        files |= {"docs/index.md": b"# %d\n" % n, "docs/more/deep.md": b"deep\n"}
    elif n < 6:
        files["docs"] = b"one page now\n"
    elif n < 9:
        files["docs"] = Symlink("app/templates")
    else:
        files |= {"docs/index.md": b"# back\n", "docs/other.md": b"%d\n" % n}
    files["switch"] = Symlink("app/core.py") if n in (2, 3, 7) else b"a file in %d\n" % n
    home = "renamed" if n in (5, 6, 7) else "plugin"  # a folder moves, and moves back
    files |= {f"{home}/{name}.py": b"NAME = '%s'\n" % name.encode() for name in ("one", "two", "three")}
    if n % 2 == 0:
        files["even/only.py"] = b"EVEN = True\n"
    if n == 3:
        files["once.py"] = b"ONCE = True\n"
    if n < 6:
        files["a/b/c/d/e.txt"] = b"deep down\n"
    if n >= 8:
        files |= {f"many/{number:03d}.txt": b"%d\n" % (number * (n - 7)) for number in range(40)}
    executable = [name for name, when in (("bin/tool", n in (2, 5, 8, 9)), ("bin/other", n >= 6)) if when]
    return dict(sorted(files.items())), ["manage.py", *executable]
