"""Tagship's client: updates for self-hosted apps, with a way back.

Importing this package costs next to nothing: everything below is loaded when it is first used.

    from updater import Updater
    updater = Updater("/srv/shop")
    if updater.check().update_available:
        updater.install(updater.plan())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from updater.client import Updater
    from updater.errors import UpdaterError
    from updater.events import Event, Phase
    from updater.install.outcome import Outcome
    from updater.results import CheckResult, Plan, RollbackPlan, Verification
    from updater.setup_site import Setup, set_up_site
    from updater.site.site import Site, find_site

__version__ = "0.1.0"

__all__ = [
    "CheckResult",
    "Event",
    "Outcome",
    "Phase",
    "Plan",
    "RollbackPlan",
    "Setup",
    "Site",
    "Updater",
    "UpdaterError",
    "Verification",
    "__version__",
    "find_site",
    "set_up_site",
]

_HOMES = {
    "CheckResult": "results",
    "Event": "events",
    "Outcome": "install.engine",
    "Phase": "events",
    "Plan": "results",
    "RollbackPlan": "results",
    "Setup": "setup_site",
    "Site": "site.site",
    "Updater": "client",
    "UpdaterError": "errors",
    "Verification": "results",
    "find_site": "site.site",
    "set_up_site": "setup_site",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
