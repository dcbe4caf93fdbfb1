"""The owner's updater.toml, for a page that changes single values in it: by its own user, never during an update."""

from __future__ import annotations

import os
import stat
from typing import Any

from updater.credentials import Credential, read_credentials, write_credentials
from updater.errors import ConfigError, UpdaterError
from updater.frozen import frozen
from updater.schema.site_config import SiteConfig
from updater.site import Site, SiteLock
from updater.site.files import write_atomic
from updater.site.reading import read_file
from updater.transport.urls import origin, shown
from updater.trust.names import FeedLocation

__all__ = ["OwnerFile", "read_owner_file"]

_MOST = 2**20
_HTTPS = 443
_KEYS = {
    "feed_url": "feed.url",
    "channel": "feed.url",
    "max_backups": "backup.max_backups",
    "max_age_days": "backup.max_age_days",
    "edited": "policy.edited",
}


@frozen
class OwnerFile:
    """What stands in it, and what holds. ``problem``: why this process must not change it, as a code; empty when it
    may."""

    site: Site
    text: str
    config: SiteConfig
    problem: str = ""

    def values(self) -> dict[str, Any]:
        """What holds, for pages that show and change it."""
        return {
            "feed_url": shown(self.config.feed_url),
            "channel": FeedLocation.parse(self.config.feed_url).channel,
            "max_backups": self.config.backup.max_backups,
            "max_age_days": self.config.backup.max_age_days,
            "edited": self.config.edited,
        }

    @property
    def overridden(self) -> dict[str, str]:
        """Those of `values` that are decided elsewhere, and where: to change them here would change nothing."""
        origins = self.config.overridden
        return {name: origins[key] for name, key in _KEYS.items() if key in origins}

    @property
    def host(self) -> str:
        """The feed's host, as `updater.credentials` names it."""
        _, host, port = origin(self.config.feed_url)
        return host if port == _HTTPS else f"{host}:{port}"

    @property
    def has_token(self) -> bool:
        """Whether a secret for that host is kept. Raises ConfigError."""
        return self.host in read_credentials(self.site.directory, {}).hosts

    def keep_token(self, token: str) -> None:
        """Keep a bearer token for the feed's host, or with an empty one forget what is kept. Raises LockedError,
        ConfigError, OSError, and ValueError for what cannot be a token."""
        with SiteLock(self.site.lock_path):
            hosts = dict(read_credentials(self.site.directory, {}).hosts)
            hosts.pop(self.host, None)
            if token:
                hosts[self.host] = Credential(token)
            write_credentials(self.site.directory, hosts)

    def write(self, text: str) -> None:
        """Replace it, unless somebody else did meanwhile. Raises LockedError while an update runs (which was planned
        with these settings), ConfigError, OSError."""
        path = self.site.config_path
        with SiteLock(self.site.lock_path):
            if read_file(path, most=_MOST).decode() != self.text:
                raise ConfigError(f"{path} was changed meanwhile.", hint="Look at it again, then repeat your change.")
            write_atomic(path, text.encode(), mode=stat.S_IMODE(path.stat().st_mode))


def read_owner_file(site: Site) -> OwnerFile | None:
    """The file as it is; None when it cannot be read, or makes no sense."""
    try:
        text = read_file(site.config_path, most=_MOST).decode()
        config = site.config()
        FeedLocation.parse(config.feed_url)
    except (OSError, UnicodeDecodeError, UpdaterError):
        return None
    return OwnerFile(site, text, config, _problem(site, config))


def _problem(site: Site, config: SiteConfig) -> str:
    path = site.config_path
    if path.is_symlink() or path.stat().st_uid != os.geteuid() or not os.access(path.parent, os.W_OK):
        return "not-ours"
    return "secret" if shown(config.feed_url) != config.feed_url else ""
