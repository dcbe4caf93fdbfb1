"""A real, small site: a program with a database, published in versions, served on loopback and updated for real."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.packages import Built, make_package
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.contrib.django.runs.folder import RunFolder
from updater.schema.feed import Notes
from updater.site import Site

__all__ = ["NOTES", "TestSite", "package"]

NOTES = {
    "1.0.1": "### Fixed\n\n- A comma.",
    "1.1.0": "### Added\n\n- **Everything** is <script>alert(1)</script> new, see [here](https://example.org/).",
}
_MANAGE = """\
import os, sys
if sys.argv[1] == "migrate":
    sys.exit(os.path.exists("fail"))
sys.path.insert(0, {root!r})
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.contrib.django.project.settings"
os.environ["TEST_SITE"] = os.path.dirname(os.path.abspath(__file__))
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
ROOT = Path(__file__).resolve().parents[3]


def package(version: str, **more: Any) -> Built:
    """A release of the app; ``files`` are added to its own."""
    files = {
        "manage.py": _MANAGE.format(root=str(ROOT)).encode(),
        "app.txt": f"this is {version}\n".encode(),
        **more.pop("files", {}),
    }
    return make_package(files, version=version, commands=("migrate",), **more)


@dataclass
class TestSite:
    """A site, its publisher, and the address of the feed."""

    __test__ = False

    path: Path
    publisher: SitePublisher
    server: LoopbackServer

    @classmethod
    @contextmanager
    def make(cls, tmp_path: Path) -> Iterator[TestSite]:
        publisher = SitePublisher()
        publisher.publish(package("1.0.0"))
        with publisher.serving() as server:
            path = tmp_path / "site"
            path.mkdir()
            (path / "updater.toml").write_text(
                f'[feed]\nurl = "{server.url}stable.json"\n[commands]\nrunner = ["{sys.executable}", "manage.py"]\n'
                'allow = ["migrate"]\n',
                encoding="utf-8",
            )
            set_up_site(f"{server.url}stable.json", path, root=publisher.root)
            publisher.publish(package("1.0.1"), notes=Notes(NOTES["1.0.1"]))
            publisher.publish(package("1.1.0"), notes=Notes(NOTES["1.1.0"], translations={"de": "Alles ist **neu**."}))
            yield cls(path, publisher, server)

    @property
    def site(self) -> Site:
        return Site(self.path)

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.site.directory / "web")

    @property
    def updater(self) -> Updater:
        return Updater(self.path)

    @property
    def version(self) -> str | None:
        return self.site.state().version

    def config(self, more: str) -> None:
        """Add to updater.toml."""
        with (self.path / "updater.toml").open("a", encoding="utf-8") as file:
            file.write(more)
