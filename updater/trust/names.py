"""Names and places of a published site, agreed between publisher and client (standard library, pure).

<base>stable.json                        the feed, for people and other tools
<base>root.json                          copy of the newest root, for new installs
<base>metadata/<N>.root.json, ...        TUF metadata with consistent snapshots
<base>feeds/<sha256>.stable.json         the feeds as TUF targets; the target path is ``stable.json``
<base>feeds/archive/stable-<hex>.json    pages of older releases that the feeds link to, named by digest
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from updater.errors import ConfigError
from updater.frozen import frozen
from updater.schema.text import CHANNELS
from updater.transport.urls import insecure_reason, shown

__all__ = [
    "ARCHIVE_DIRECTORY",
    "CHANNELS",
    "FEEDS_DIRECTORY",
    "METADATA_DIRECTORY",
    "ROOT_FILE",
    "FeedLocation",
    "archive_page",
    "feed_copy",
    "feed_file",
    "metadata_file",
]

METADATA_DIRECTORY = "metadata"
FEEDS_DIRECTORY = "feeds"
ARCHIVE_DIRECTORY = "archive"
ROOT_FILE = "root.json"


def feed_file(channel: str) -> str:
    """File name of a channel's feed: its TUF target path, and its plain copy below the base URL."""
    return f"{channel}.json"


def feed_copy(channel: str, sha256: str) -> str:
    """Path below the base URL of the copy of a feed that is named by its digest (hex)."""
    return f"{FEEDS_DIRECTORY}/{sha256}.{feed_file(channel)}"


def archive_page(channel: str, sha256: str) -> str:
    """Path below the base URL of a page of older releases, which is named by its digest (hex)."""
    return f"{FEEDS_DIRECTORY}/{ARCHIVE_DIRECTORY}/{channel}-{sha256[:16]}.json"


def metadata_file(role: str, version: int | None = None) -> str:
    """Path below the base URL of a role's metadata; only timestamp has no version in its name."""
    name = f"{role}.json" if version is None else f"{version}.{role}.json"
    return f"{METADATA_DIRECTORY}/{name}"


@frozen
class FeedLocation:
    """Where a feed is published. ``base_url`` ends in a slash; ``channel`` is one of ``CHANNELS``."""

    base_url: str
    channel: str

    @classmethod
    def parse(cls, url: str) -> FeedLocation:
        """Take a feed URL such as ``https://acme.github.io/shop/stable.json`` apart; the only way that checks it.

        Raises ``ConfigError``, with advice, for anything else.
        """
        url = url.strip()
        reason = insecure_reason(url)
        if not reason and (not url.isprintable() or " " in url or "\\" in url):
            reason = "it holds characters that an address cannot have"
        if reason:
            raise ConfigError(
                f"The feed address {shown(url)!r} cannot be used: {reason}", hint=f"It looks like {_EXAMPLE}."
            )
        parts = urlsplit(url)
        if parts.query or parts.fragment or "?" in url or "#" in url:
            raise ConfigError(
                f"The feed address {shown(url)!r} has something after the file name",
                hint="Remove everything from the first '?' or '#' on.",
            )
        if parts.username is not None or parts.password is not None:
            raise ConfigError(
                f"The feed address {shown(url)!r} contains a user name or password",
                hint="Put credentials where only the updater reads them, for example into ~/.netrc.",
            )
        base, _, name = url.rpartition("/")
        if any(part in (".", "..") for part in unquote(parts.path).split("/")):
            raise ConfigError(f"The feed address {url!r} contains '.' or '..'", hint="Write the path out.")
        channel = name.removesuffix(".json")
        if channel == name:
            raise ConfigError(
                f"The feed address {url!r} does not end in the name of a feed",
                hint=f"Add the channel, for example {url.rstrip('/')}/{feed_file(CHANNELS[0])}.",
            )
        if channel not in CHANNELS:
            raise ConfigError(
                f"The feed address {url!r} names an unknown channel, {channel!r}",
                hint=f"Channels are {', '.join(CHANNELS)}; the file is called, for example, {feed_file('beta')}.",
            )
        return cls(f"{base}/", channel)

    @property
    def url(self) -> str:
        """The feed's plain copy."""
        return self.base_url + feed_file(self.channel)

    @property
    def metadata_url(self) -> str:
        """Folder of the TUF metadata, with a slash at the end."""
        return f"{self.base_url}{METADATA_DIRECTORY}/"

    @property
    def feeds_url(self) -> str:
        """Folder of the copies named by digest, with a slash at the end."""
        return f"{self.base_url}{FEEDS_DIRECTORY}/"

    @property
    def root_url(self) -> str:
        """Copy of the newest root."""
        return self.base_url + ROOT_FILE


_EXAMPLE = "https://acme.github.io/shop/stable.json"
