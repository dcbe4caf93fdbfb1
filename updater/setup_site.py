"""Making a site: the first install of an app into a directory."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from updater.client import Updater
from updater.credentials import read_credentials
from updater.errors import BlockedError, ConfigError, RollbackError, RolledBackError, StateError
from updater.events import Reporter, ignore_events
from updater.frozen import frozen
from updater.install.outcome import Outcome
from updater.install.recovery import pending, recover
from updater.licensing import write_license
from updater.schema.site_config import CONFIG_NAME, SiteConfig
from updater.site import Layout, Site, SiteLock, SiteState
from updater.site.files import make_private_directory, remove_tree, write_atomic
from updater.transport import Transport
from updater.trust import FeedLocation, fingerprint, obtain_root

__all__ = ["DEFAULTS_NAME", "Setup", "set_up_site"]

DEFAULTS_NAME = "updater.defaults.toml"


@frozen
class Setup:
    """A site that was made. ``fingerprint`` is that of the root it trusts; ``trusted_on_first_use`` says that nobody
    vouched for it."""

    site: Site
    outcome: Outcome
    fingerprint: str
    trusted_on_first_use: bool


def set_up_site(
    feed_url: str,
    directory: Path,
    *,
    root: bytes | None = None,
    root_sha256: str | None = None,
    version: str | None = None,
    license: bytes | None = None,  # noqa: A002 - what it is
    layout: Layout = "in-place",
    report: Reporter = ignore_events,
    transport: Transport | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    environ: Mapping[str, str] | None = None,
    confirm_root: Callable[[str], bool] = lambda _: True,
) -> Setup:
    """Install an app for the first time. ``confirm_root`` is asked about a root that nobody vouched for. ``license``:
    the file that the maintainer of a paid app gave out.

    An existing ``updater.toml`` in ``directory`` is the owner's and is used. When anything fails before the install
    began, everything this call made is removed; when the install itself failed, the settings stay, so that they can
    be corrected and the command repeated.
    """
    location = FeedLocation.parse(feed_url)
    site = Site(directory.absolute())
    if site.exists:  # an earlier attempt may have been killed
        with SiteLock(site.lock_path):
            recover(site, report=report, now=now, environ=environ)
    _refuse_existing(site)
    if transport is None:
        from updater.transport import HTTPTransport

        transport = HTTPTransport(headers_for=read_credentials(site.directory, environ or os.environ).headers_for)
    trusted_root = obtain_root(location, transport, root=root, sha256=root_sha256)
    on_first_use = root is None and root_sha256 is None
    if on_first_use and not confirm_root(fingerprint(trusted_root)):
        raise BlockedError("The root of trust was not confirmed; nothing was installed.")
    made = _Made(site)
    try:
        make_private_directory(site.directory)
        write_atomic(site.directory / "root.json", trusted_root)
        if license is not None:
            write_license(site.license_path, license)
        updater = Updater(site, report=report, transport=transport, now=now, environ=environ)
        outcome = _first_install(updater, location, transport, now(), version=version, layout=layout)
    except (RolledBackError, RollbackError):
        raise
    except BaseException:
        if pending(site) is None:  # otherwise the state directory is what the way back needs
            made.remove()
        raise
    return Setup(site, outcome, fingerprint(trusted_root), on_first_use)


class _Made:
    """What this call creates, to be taken away again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._directory = not site.path.exists()
        self._state = not site.directory.exists()
        self._config = not site.config_path.exists()

    def remove(self) -> None:
        if self._state:
            remove_tree(self._site.directory)
        if self._config:
            self._site.config_path.unlink(missing_ok=True)
        if self._directory and self._site.path.is_dir() and not any(self._site.path.iterdir()):
            self._site.path.rmdir()


def _refuse_existing(site: Site) -> None:
    if site.path.exists() and not site.path.is_dir():
        raise ConfigError(f"{site.path} is not a directory.", hint="Name a directory, new or existing.")
    if site.exists and site.state().version is not None:
        raise ConfigError(
            f"{site.path} is a site already: it has {site.state().app} {site.state().version}.",
            hint="Use `updater update`, or choose another directory.",
        )


def _first_install(
    updater: Updater,
    location: FeedLocation,
    transport: Transport,
    now: datetime,
    *,
    version: str | None,
    layout: Layout,
) -> Outcome:

    from updater.acquire import addresses_of, download_package, open_package
    from updater.feeds import read_feed
    from updater.licensing import entitlement, read_license
    from updater.selection import select

    site = updater.site
    owned = site.config() if site.config_path.exists() else None
    if owned is not None and owned.feed_url != location.url:
        raise ConfigError(
            f"{site.config_path} names the feed {owned.feed_url}, the command {location.url}.",
            hint="Make them agree.",
        )
    app = owned.app if owned else None
    found = read_feed(location.url, site.directory, transport, now=now, app=app, component=None, to=version)
    state = SiteState.new(found.feed.app, found.feed.component, layout)
    selection = select(
        found.feed,
        None,
        site_id=state.site_id,
        now=now,
        python=platform.python_version(),
        to=version,
        entitled=entitlement(found.feed, read_license(site.license_path)),
    )
    release = selection.release
    if release is None:
        raise BlockedError("There is no release to install.", reasons=selection.reasons)
    urls = addresses_of(release.package.urls, location.url, owned.download.mirrors if owned else ())
    download_package(release, urls, site.downloads, transport, updater.report)
    with open_package(release, site.downloads) as reader:
        if owned is None:
            defaults = reader.read(DEFAULTS_NAME) if DEFAULTS_NAME in reader.manifest.files else b""
            write_atomic(site.config_path, _new_config(location, found.feed.app, defaults), mode=0o644)
    site.write_state(state)
    return updater.install(updater.plan(release.version))


def _new_config(location: FeedLocation, app: str, defaults: bytes) -> bytes:
    """The owner's first settings: the feed, then what the app's maintainer recommends."""
    head = (
        "# The settings of this site. They are yours: an update never changes this file.\n"
        "# Every key is described in docs/formats.md of Tagship, section 7.\n\n"
        f"[feed]\nurl = {json.dumps(location.url)}\napp = {json.dumps(app)}\n"
    )
    try:
        text = head + ("\n" + defaults.decode("utf-8") if defaults else _NO_DEFAULTS)
        SiteConfig.parse(text, DEFAULTS_NAME)
    except (UnicodeDecodeError, ConfigError) as error:
        raise StateError(
            f"The app's {DEFAULTS_NAME} cannot be used: {error}",
            hint=f"Write your own {CONFIG_NAME} into the directory first, and tell the app's maintainer.",
        ) from error
    return text.encode()


_NO_DEFAULTS = """
# [commands]
# runner = ["python", "manage.py"]
# allow = ["migrate", "collectstatic"]

# [database]
# kind = "sqlite"
# path = "db.sqlite3"

# [restart]
# command = ["systemctl", "restart", "the-app"]

# [health]
# url = "http://127.0.0.1:8000/health/"
"""
