"""Whether a site's licence lets it have a release: decided from the signed feed and the licence, without a server
(docs/licensing.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from updater.errors import FeedError, StateError
from updater.frozen import frozen
from updater.schema.feed import Feed, Release
from updater.schema.licenses import License, Licensing, Sealed, to_sign
from updater.site.files import write_atomic
from updater.site.reading import read_file

__all__ = ["AHEAD", "Entitlement", "ending", "entitlement", "read_license", "write_license"]

AHEAD = timedelta(days=30)
"""So long before a licence ends, its end is told."""

_MOST = 1 << 20


@frozen
class Entitlement:
    """What a site's licence is worth for one feed. ``problem``: why it counts for nothing, as a clause; empty when it
    counts. ``license`` is None when there is none, or it is not genuine."""

    license: License | None
    problem: str = ""
    grace: timedelta = timedelta()

    def why_not(self, release: Release) -> str | None:
        """Why this site may not have ``release``, as a clause; None when it may."""
        if self.problem:
            return self.problem
        until = None if self.license is None else self.license.updates_until
        if self.license is None or until is None or release.published <= until + self.grace:
            return None
        return (
            f"it was published on {release.published:%Y-%m-%d}, and the licence {self.license.id} covers what was "
            f"published until {until:%Y-%m-%d}"
        )


def entitlement(feed: Feed, data: bytes | None) -> Entitlement | None:
    """Judge a licence file for ``feed``; None when that asks for none. ``data`` None: the site has no licence."""
    licensing = feed.licensing
    if licensing is None:
        return None
    more = f" ({licensing.message})" if licensing.message else ""
    if data is None:
        return Entitlement(None, f"it needs a licence{more}")
    try:
        found = _genuine(licensing, data)
    except FeedError as error:
        return Entitlement(None, f"the site's licence cannot be read: {' '.join(str(error).split())}")
    if found is None:
        return Entitlement(None, f"the site's licence was not signed by this app's maintainer{more}")
    return Entitlement(found, _misfit(feed, licensing, found, more), timedelta(days=licensing.grace_days))


def _genuine(licensing: Licensing, data: bytes) -> License | None:
    """The licence, when its signature is good. Raises FeedError for a file that is none."""
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature, SSlibKey  # type: ignore[attr-defined]

    sealed = Sealed.parse(data)
    for key in licensing.keys:
        try:  # what TUF verifies with as well: it does not depend on `cryptography` being installed
            known = SSlibKey(key, "ed25519", "ed25519", {"public": key})
            known.verify_signature(Signature(key, sealed.signature), to_sign(sealed.payload))
        except UnverifiedSignatureError:
            continue
        return License.parse(sealed.payload)
    return None


def _misfit(feed: Feed, licensing: Licensing, found: License, more: str) -> str:
    if found.app != feed.app:
        return f"the licence {found.id} is for the app {found.app!r}"
    if found.id in licensing.revoked:
        return f"the licence {found.id} was revoked{more}"
    if found.channels and feed.channel not in found.channels:
        return f"the licence {found.id} does not cover the {feed.channel} channel, only {', '.join(found.channels)}"
    if found.components and feed.component not in found.components:
        return f"the licence {found.id} does not cover {feed.component!r}, only {', '.join(found.components)}"
    return ""


def ending(judged: Entitlement | None, now: datetime) -> str:
    """A sentence for a licence that ends soon or has ended; empty otherwise."""
    if judged is None or judged.license is None or judged.problem or judged.license.updates_until is None:
        return ""
    until, name = judged.license.updates_until, judged.license.id
    if now < until - AHEAD:
        return ""
    if now < until:
        return f"The licence {name} ends on {until:%Y-%m-%d}: releases that are published later need another one."
    if now < until + judged.grace:
        last = until + judged.grace
        return f"The licence {name} ended on {until:%Y-%m-%d}; until {last:%Y-%m-%d} releases can still be had."
    return f"The licence {name} ended on {until:%Y-%m-%d}; what is installed stays, newer releases need another one."


def read_license(path: Path) -> bytes | None:
    """The site's licence file as it is, None when there is none. Raises StateError."""
    try:
        return read_file(path, most=_MOST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"The site's licence, {path}, cannot be read: {error.strerror or error}",
            hint="Check who may read it, or give it again with `updater license FILE`.",
        ) from error


def write_license(path: Path, data: bytes | None) -> None:
    """Keep a licence; None: none any more. Raises OSError."""
    if data is None:
        path.unlink(missing_ok=True)
    else:
        write_atomic(path, data)
