"""The example shop as a published app, and real sites of it: real migrations, real commands, a real database."""

from __future__ import annotations

import sys
from pathlib import Path

from feedgen.source.django_migrations import migration_facts, new_migrations
from tests.support.packages import Built, make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.site import Layout

__all__ = ["PRESERVE", "VERSIONS", "health_command", "install_shop", "publish_shop", "shop_files"]

_SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop" / "versions"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
PRESERVE = ("/media/", "/db.sqlite3", "/db.sqlite3-*", "/staticfiles/")
_COMMANDS = ("migrate --noinput -v1",)
_PROBE = (
    "import os, sys; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings'); import django; django.setup(); "
    "from django.test import Client; "
    "answer = Client(HTTP_HOST='localhost', raise_request_exception=False).get('/health/'); "
    "print(answer.status_code, answer.content[:200]); sys.exit(answer.status_code != 200)"
)


def shop_files(version: str) -> dict[str, bytes]:
    """The whole tree of one version: each version's folder holds what is new in it."""
    files: dict[str, bytes] = {}
    for name in VERSIONS[: VERSIONS.index(version) + 1]:
        folder = _SHOP / name
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder).as_posix()
            if path.is_file() and "__pycache__" not in inside:
                files[inside] = path.read_bytes()
        deleted = _SHOP / f"{name}.deleted"
        for line in deleted.read_text(encoding="utf-8").split() if deleted.exists() else ():
            del files[line]
    return files


def publish_shop(versions: tuple[str, ...] = VERSIONS) -> SitePublisher:
    """A publisher of these versions of the shop, with what the real one says of their migrations."""
    publisher = SitePublisher()
    before: dict[str, bytes] = {}
    for version in versions:
        files = shop_files(version)
        now = {path: (lambda data=data: data) for path, data in files.items()}
        then = {path: (lambda data=data: data) for path, data in before.items()}
        facts = migration_facts(new_migrations(now, then), now)
        built: Built = make_package(
            files,
            version=version,
            commands=_COMMANDS,
            preserve=PRESERVE,
            migrations=facts.names,
            executable=("manage.py",),
        )
        publisher.publish(built, migrations=facts)
        before = files
    return publisher


def health_command() -> list[str]:
    """Asks the shop's own health page, without a server: what 1.2.0 fails."""
    return [sys.executable, "-c", _PROBE]


def install_shop(
    publisher: SitePublisher, path: Path, *, layout: Layout = "in-place", database: str = "", more: str = ""
) -> Updater:
    """A site of 1.0.0. ``database`` is the ``[database]`` section's content (default: SQLite in the tree)."""
    path.mkdir(parents=True)
    words = ", ".join(repr(word) for word in health_command()[:2])
    database = database or 'kind = "sqlite"\npath = "db.sqlite3"\n'
    (path / "updater.toml").write_text(
        f'[feed]\nurl = "{publisher.url}"\n[database]\n{database}\n'
        f'[commands]\nrunner = ["{sys.executable}", "manage.py"]\nallow = ["migrate", "collectstatic"]\n'
        f'env = {{PYTHONDONTWRITEBYTECODE = "1", SHOP_SECRET_KEY = "only for tests"}}\n{more}',
        encoding="utf-8",
    )
    set_up_site(publisher.url, path, version="1.0.0", layout=layout, root=publisher.root, transport=publisher)
    with (path / "updater.toml").open("a", encoding="utf-8") as file:  # now: it takes time, and 1.0.0 is known to work
        file.write(f'\n[health]\ncommand = [{words}, """{_PROBE}"""]\ntimeout = 60\ninterval = 0.1\n')
    return Updater(path, transport=publisher)
