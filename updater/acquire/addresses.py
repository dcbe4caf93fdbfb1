"""Where a published file can be had: the owner's mirrors, then what the feed says."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from updater.errors import UpdaterError

__all__ = ["Addresses", "addresses_of"]


def addresses_of(urls: Sequence[str], feed_url: str, mirrors: Sequence[str] = ()) -> tuple[str, ...]:
    """Every address of a file, in the order in which they are tried.

    ``urls`` are the feed's, absolute or relative to it. A mirror is a base URL: the file is looked for there by its
    name, the last segment of the first of ``urls``.
    """
    name = urlsplit(urls[0]).path.rpartition("/")[2]
    mirrored = [f"{mirror.removesuffix('/')}/{name}" for mirror in mirrors]
    return tuple(dict.fromkeys([*mirrored, *(urljoin(feed_url, url) for url in urls)]))


class Addresses:
    """The addresses of one file and which of them failed; used from several threads at once."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._errors: dict[str, UpdaterError] = {}
        self._lock = threading.Lock()

    def next(self) -> str:
        """The first address that has not failed. Raises the last error when all have."""
        with self._lock:
            for url in self._urls:
                if url not in self._errors:
                    return url
            raise list(self._errors.values())[-1]

    def fail(self, url: str, error: UpdaterError) -> None:
        """Do not use ``url`` again."""
        with self._lock:
            self._errors.setdefault(url, error)
