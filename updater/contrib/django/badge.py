"""How many updates wait: for menus, so from files alone, and read again only when one of them changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from updater.contrib.django.checked import Checked, read_checked
from updater.contrib.django.conf import conf
from updater.contrib.django.looking import components_of, read_view
from updater.contrib.django.runs.folder import RunFolder
from updater.errors import UpdaterError
from updater.site import Site

__all__ = ["waiting", "waiting_updates"]

_known: tuple[Any, list[Checked]] | None = None


def waiting_updates() -> int:
    """The number of components with an update that nobody skipped; 0 when that cannot be told."""
    return len(waiting())


def waiting() -> list[Checked]:
    """Those components. Never raises, and never asks the database."""
    global _known  # noqa: PLW0603 - a cache for the whole process
    try:
        site, folder = conf().require_site(), conf().require_folder()
    except ImproperlyConfigured:
        return []
    files = (folder.check_path, folder.skipped_path, folder.view_path, site.state_path, site.manifest_path)
    mark = tuple(map(_mark, files))
    if _known is None or _known[0] != mark:
        _known = (mark, _waiting(site, folder))
    return _known[1]


def _waiting(site: Site, folder: RunFolder) -> list[Checked]:
    skipped = folder.skipped()
    installed = _installed(site, folder)
    return [
        checked
        for checked in read_checked(folder).values()
        if (version := checked.waiting(installed.get(checked.component))) is not None
        and version not in skipped.get(checked.component, {})
    ]


def _installed(site: Site, folder: RunFolder) -> Mapping[str, str | None]:
    """By component."""
    try:
        state = site.state()
        return {state.component: state.version, **{one.name: one.version for one in components_of(site)}}
    except UpdaterError:
        view = read_view(folder)
        return {} if view is None else view.installed


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
