"""Runs every check; one that fails itself hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from updater.doctor import beforehand, local, maintenance, remote, settings
from updater.doctor.facts import Facts, Probes, UnknownError
from updater.errors import UpdaterError
from updater.install.preflight import Finding
from updater.site import Site

if TYPE_CHECKING:
    from updater.transport import Transport

__all__ = ["CHECKS", "examine"]

Check = Callable[[Facts], Iterable[Finding]]

CHECKS: Mapping[str, Check] = {
    "python": local.check_python,
    "packages": local.check_packages,
    "settings": settings.check_settings,
    "site": local.check_site,
    "lock": local.check_lock,
    "journal": local.check_journal,
    "permissions": local.check_permissions,
    "disk": local.check_disk,
    "managed": beforehand.check_managed,
    "files": beforehand.check_files,
    "commands": settings.check_commands,
    "restart": settings.check_restart,
    "health": settings.check_health,
    "running": beforehand.check_running,
    "maintenance": maintenance.check_maintenance,
    "database": settings.check_database,
    "connection": remote.check_connection,
    "tls": remote.check_tls,
    "clock": remote.check_clock,
    "feed": remote.check_feed,
    "trust": remote.check_trust,
    "requirements": beforehand.check_requirements,
}
"""In the order in which they are told: what others need comes first."""


def examine(
    site: Site,
    *,
    now: datetime,
    environ: Mapping[str, str],
    transport: Transport | None = None,
    probes: Probes | None = None,
) -> list[Finding]:
    """All findings about ``site``. Nothing is changed or recovered, and nothing is raised."""
    facts = Facts(site, now, environ, transport, probes or Probes())
    return [finding for name, check in CHECKS.items() for finding in _guarded(name, check, facts)]


def _guarded(name: str, check: Check, facts: Facts) -> list[Finding]:
    try:
        return list(check(facts))
    except UnknownError as unknown:
        return [Finding(name, "warning", "could not be checked.", f"Put right what `{unknown.needs}` reports first.")]
    except UpdaterError as error:
        return [Finding(name, "error", str(error), error.hint or "See `updater history` for what happened before.")]
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        message = f"{where}{error.strerror or error}"
        return [Finding(name, "error", message, "Check that it exists and that this user may use it.")]
    except ModuleNotFoundError as error:
        advice = "Install Tagship again: pip install --force-reinstall tagship."
        return [Finding(name, "error", f"the Python package {error.name!r} is missing.", advice)]
    except Exception as error:  # noqa: BLE001 - a broken check must not hide the others
        message = f"this check itself failed: {type(error).__name__}: {error}"
        return [Finding(name, "warning", message, "Please report it to the Tagship project.")]
