"""The command that carries a request out: the engine's own command line, or the app's ``manage.py`` for a check."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from updater.contrib.django.runs.request import Request
from updater.errors import UpdaterError
from updater.site import Site

__all__ = ["Command", "command_for", "engine_environment", "manage"]

_OF_DEVELOPMENT = ("RUN_MAIN", "DJANGO_AUTORELOAD_ENV", "DJANGO_WATCHMAN_TIMEOUT", "WERKZEUG_RUN_MAIN")
"""What a development server tells the process that it reloads."""

_OF_ANOTHER_SERVICE = ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "GUNICORN_FD")


class Command:
    """A program to start: ``argv``, its working directory, and the whole environment."""

    def __init__(self, argv: tuple[str, ...], cwd: Path, environ: Mapping[str, str]) -> None:
        self.argv = argv
        self.cwd = cwd
        self.environ = environ


def engine_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without what belongs to the web process alone: its sockets, its reloader."""
    left_out = (*_OF_DEVELOPMENT, *_OF_ANOTHER_SERVICE)
    kept = {name: value for name, value in environ.items() if name not in left_out}
    return {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def command_for(request: Request, site: Site, python: str, environ: Mapping[str, str]) -> Command:
    """What to start for a request. Raises UpdaterError for a check on a site whose settings name no ``manage.py``."""
    if request.action == "check":
        return manage(site, ("check_updates", "--force", "--notify"), environ)
    only = tuple(word for name in request.components for word in ("--component", name))
    verbs: Mapping[str, tuple[str, ...]] = {
        "update": ("update", "--yes", *(("--to", request.target) if request.target else ()), *only),
        "rehearse": ("update", "--rehearse", "--to", request.target or "", *only),
        "plan-rollback": ("rollback", request.target or "", "--dry-run"),
        "rollback": ("rollback", request.target or "", "--yes"),
        "recover": ("recover",),
    }
    words = (python, "-m", "updater", *verbs[request.action], "--json", "--site", str(site.path))
    return Command(words, Path(os.sep), engine_environment(environ))


def manage(site: Site, words: tuple[str, ...], environ: Mapping[str, str]) -> Command:
    """A management command of the app, run as the update's own commands are (``[commands]`` in updater.toml)."""
    config = site.config().commands
    if not config.runner:
        raise UpdaterError(
            f"{site.config_path} has no [commands] runner, so Django's commands cannot be run.",
            hint='Add it, for example: runner = ["python", "manage.py"]',
        )
    tree = site.tree(site.state().layout)
    return Command((*config.runner, *words), tree, {**engine_environment(environ), **config.env})
