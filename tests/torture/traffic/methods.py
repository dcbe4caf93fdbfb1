"""The ways in which an owner lets the updater restart the shop."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from updater.schema.site_config import SiteConfig

__all__ = ["METHODS", "Method", "settings"]

SERVE = Path(__file__).with_name("serve.py")
MAINTENANCE = "maintenance" in SiteConfig.__dataclass_fields__
"""Whether this updater can turn a maintenance page on."""


@dataclass(frozen=True)
class Method:
    """``stops``: nobody can order while files and database change. ``page``: visitors get a 503 meanwhile."""

    name: str
    server: str
    stops: bool = False
    page: bool = False

    def restart(self, site: Path, port: int) -> str:
        """The ``[restart]`` section."""
        if self.stops:
            words = [sys.executable, str(SERVE)]
            end = [str(site), str(port), self.server]
            return f"stop = {json.dumps([*words, 'stop', *end])}\ncommand = {json.dumps([*words, 'start', *end])}\n"
        if self.server == "gunicorn-reload":
            return 'touch = "tmp/restart.txt"\n'
        return 'signal = "HUP"\npidfile = "shop.pid"\n'


METHODS = [
    Method("gunicorn, HUP", "gunicorn"),
    Method("gunicorn, stop and start", "gunicorn", stops=True),
    Method("gunicorn --reload, touch", "gunicorn-reload"),
    Method("uvicorn, HUP", "uvicorn"),
    Method("uvicorn, stop and start", "uvicorn", stops=True),
    *([Method("gunicorn, stop and start, page", "gunicorn", stops=True, page=True)] if MAINTENANCE else []),
]


def settings(feed: str, method: Method | None, site: Path, port: int) -> str:
    """The owner's updater.toml; without a method: for the first install, when nothing runs yet."""
    text = (
        f'[feed]\nurl = "{feed}"\n[database]\nkind = "sqlite"\npath = "db.sqlite3"\n'
        f'[commands]\nrunner = ["{sys.executable}", "manage.py"]\nallow = ["migrate", "collectstatic"]\n'
    )
    if method is None:
        return text
    check = json.dumps([sys.executable, "-c", "import shop.wsgi, shop.asgi"])
    text += f"[restart]\n{method.restart(site, port)}"
    text += f'[health]\ncheck = {check}\nurl = "http://127.0.0.1:{port}/health/"\ntimeout = 15\ninterval = 0.2\n'
    return text + ('[maintenance]\nfile = "maintenance.json"\n' if method.page else "")
