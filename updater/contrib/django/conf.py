"""The ``UPDATER_…`` settings of a Django project, read once and checked (docs/django.md lists them)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from updater.contrib.django.runs.folder import RunFolder
from updater.errors import ConfigError
from updater.frozen import frozen
from updater.site import Site, find_site

__all__ = ["Conf", "conf"]

_RUNNERS = ("subprocess", "systemd-path", "systemd-run")


@frozen
class Conf:
    """What the project decided. ``site`` is None when no site was found: the pages then say so.

    ``runner`` is one of ``subprocess``, ``systemd-path``, ``systemd-run``, or the dotted path of a callable.
    ``pinned`` are values of the settings panel that only the project's code may change.
    """

    site: Site | None
    folder: RunFolder | None
    runner: str = "subprocess"
    python: str = sys.executable
    allow_web_install: bool = True
    reauthenticate: bool = False
    hooks: tuple[str, ...] = ()
    pinned: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "updater-web"

    def require_site(self) -> Site:
        """The site. Raises ImproperlyConfigured, with what to do."""
        if self.site is None:
            raise ImproperlyConfigured(
                "No site was found: there is no updater.toml in BASE_DIR or above it. "
                "Set UPDATER_SITE to the folder that holds it."
            )
        return self.site

    def require_folder(self) -> RunFolder:
        """The folder of requests and runs."""
        site = self.require_site()
        return self.folder or RunFolder(site.directory / "web")


@lru_cache(maxsize=1)
def conf() -> Conf:
    """The project's settings. Raises ImproperlyConfigured for one of a wrong kind."""
    site = _site()
    folder = _get("UPDATER_RUN_FOLDER", (str, Path), None)
    if folder is None and site is not None:
        folder = site.directory / "web"
    return Conf(
        site=site,
        folder=None if folder is None else RunFolder(Path(folder)),
        runner=_runner(),
        python=_get("UPDATER_PYTHON", (str,), None) or _python(),
        allow_web_install=_get("UPDATER_ALLOW_WEB_INSTALL", (bool,), default=True),
        reauthenticate=_get("UPDATER_REAUTHENTICATE", (bool,), default=False),
        hooks=tuple(_get("UPDATER_NOTICE_HOOKS", (list, tuple), ())),
        pinned=dict(_get("UPDATER_PINNED", (dict,), {})),
        unit=_get("UPDATER_UNIT", (str,), "updater-web"),
    )


def _site() -> Site | None:
    given = _get("UPDATER_SITE", (str, Path), None)
    if given is not None:
        return Site(Path(given).absolute())
    base = getattr(settings, "BASE_DIR", None)
    try:
        return None if base is None else find_site(Path(base))
    except ConfigError:
        return None


def _runner() -> str:
    runner: str = _get("UPDATER_RUNNER", (str,), "subprocess")
    if runner not in _RUNNERS and "." not in runner:
        raise ImproperlyConfigured(
            f"UPDATER_RUNNER is {runner!r}; it must be one of {', '.join(_RUNNERS)}, or a dotted path."
        )
    return runner


def _python() -> str:
    """The interpreter: embedded ones (uWSGI, mod_wsgi) name their own program in ``sys.executable``, or nothing."""
    if Path(sys.executable or "").name.startswith("python"):
        return sys.executable
    return str(Path(sys.prefix) / "bin" / f"python{sys.version_info.major}")


def _get(name: str, kinds: tuple[type, ...], default: Any) -> Any:
    value = getattr(settings, name, default)
    if value is not default and not isinstance(value, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ImproperlyConfigured(f"{name} must be a {expected}, not {type(value).__name__}.")
    return value


def _forget(*, setting: str, **_kwargs: Any) -> None:
    if setting.startswith("UPDATER_") or setting == "BASE_DIR":
        conf.cache_clear()


setting_changed.connect(_forget)
