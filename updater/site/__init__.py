"""One install of an app: where its files are, who works on it, what happened to it. Standard library only."""

from updater.site.history import append_history, read_history
from updater.site.lock import SiteLock
from updater.site.site import Layout, Site, SiteState, find_site
from updater.site.status import StatusFile, read_status

__all__ = [
    "Layout",
    "Site",
    "SiteLock",
    "SiteState",
    "StatusFile",
    "append_history",
    "find_site",
    "read_history",
    "read_status",
]
