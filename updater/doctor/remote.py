"""Checks of the way to the publisher: network, certificate, clock, feed and trust."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from updater.doctor.facts import Facts, UnknownError
from updater.errors import DownloadError
from updater.install.preflight import Finding
from updater.site.reading import read_file

__all__ = ["check_clock", "check_connection", "check_feed", "check_tls", "check_trust"]

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""This software did not exist before: a clock that shows an earlier time is wrong."""

_SKEW, _GROSS_SKEW = timedelta(minutes=5), timedelta(days=1)
_SOON = timedelta(days=14)
_SOON_ONLINE = timedelta(days=2)
_MAX_METADATA = 1 << 20  # bytes


def _host(facts: Facts) -> tuple[str, int]:
    parts = urlsplit(facts.location.url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def check_connection(facts: Facts) -> Iterator[Finding]:
    """Whether the feed's server is found and answers, directly or through a proxy."""
    host, port = _host(facts)
    proxy = facts.probes.proxy_for(facts.location.url)
    if proxy is None and facts.transport is None:
        try:
            facts.probes.resolve(host, port)
        except OSError as error:
            advice = (
                "Check [feed] url, this machine's DNS (/etc/resolv.conf) and whether it needs a proxy (HTTPS_PROXY)."
            )
            yield Finding("connection", "error", f"the host {host} is not found: {error}.", advice)
            return
    through = f" through the proxy {_without_password(proxy)}" if proxy else ""
    try:
        with facts.open_transport().open(
            facts.location.metadata_url + "timestamp.json", max_bytes=_MAX_METADATA
        ) as answer:
            for _ in answer.chunks:
                pass
    except DownloadError as error:
        advice = error.hint or f"Check firewall and proxy: `curl -I {facts.location.url}` as the same user should work."
        yield Finding("connection", "error", f"{host} does not serve the feed{through}: {error}.", advice)
        return
    yield Finding("connection", "ok", f"{host} answers{through}.")


def _without_password(proxy: str) -> str:
    return proxy.rpartition("@")[2]


def check_tls(facts: Facts) -> Iterator[Finding]:
    """Whether the server's certificate is valid, and stays so."""
    host, port = _host(facts)
    if urlsplit(facts.location.url).scheme != "https":
        yield Finding("tls", "ok", "Not used: the feed is on this machine. What is installed is signed in any case.")
        return
    if facts.probes.proxy_for(facts.location.url) is not None:
        yield Finding("tls", "ok", "Checked by every request through the proxy.")
        return
    try:
        end = facts.probes.certificate_end(host, port)
    except ssl.SSLCertVerificationError as error:
        advice = "Check this machine's clock; behind a filtering proxy, set REQUESTS_CA_BUNDLE to its certificate."
        yield Finding("tls", "error", f"the certificate of {host} is not valid: {error.verify_message}.", advice)
        return
    except OSError as error:
        yield Finding("tls", "error", f"no secure connection to {host}: {error}.", "See `connection` above.")
        return
    left = end - facts.now
    if left < timedelta(days=7):
        message = f"the certificate of {host} expires on {end:%Y-%m-%d}."
        yield Finding("tls", "warning", message, "Tell the publisher to renew it; updates stop when it has expired.")
    else:
        yield Finding("tls", "ok", f"The certificate of {host} is valid until {end:%Y-%m-%d}.")


def check_clock(facts: Facts) -> Iterator[Finding]:
    """Whether this machine's clock can be right: signatures expire by it."""
    server: datetime | None = None
    if facts.transport is None:
        try:
            server = facts.probes.server_date(facts.location.url)
        except (UnknownError, OSError, ImportError, ValueError, TypeError):
            server = None  # the checks of settings and connection tell why
    try:
        generated: datetime | None = facts.fetched.feed.generated
    except UnknownError:
        generated = None
    yield judge_clock(facts.now, server, generated)


def judge_clock(now: datetime, server: datetime | None, generated: datetime | None) -> Finding:
    """The finding about ``now``, given the server's clock and when the feed was made."""
    advice = "Set the clock, and keep it right with NTP (`timedatectl set-ntp true`)."
    shown = f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if now < EARLIEST:
        return Finding("clock", "error", f"this machine says it is {shown}, which is long past.", advice)
    if generated is not None and generated > now + _SKEW:
        message = f"this machine says it is {shown}, but the feed was made on {generated:%Y-%m-%d %H:%M} UTC."
        return Finding("clock", "error", message, advice)
    if server is None:
        return Finding("clock", "ok", f"{shown} is plausible; the server's clock was not asked.")
    server = server if server.tzinfo is not None else server.replace(tzinfo=UTC)
    skew = abs(now - server)
    if skew <= _SKEW:
        return Finding("clock", "ok", f"{shown} agrees with the server.")
    message = f"this machine says it is {shown}, the server {server.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    return Finding("clock", "error" if skew > _GROSS_SKEW else "warning", message, advice)


def check_feed(facts: Facts) -> Iterator[Finding]:
    """Whether the feed verifies now, is fresh, and is of this app."""
    try:
        fetched = facts.fetched
    except UnknownError as unknown:
        raise unknown.__cause__ or unknown from None  # this is the check that tells why
    feed, freshness = fetched.feed, fetched.trusted.freshness
    if freshness.state == "stale":
        advice = "Try again later; when it stays so, ask the publisher. Nothing is installed automatically meanwhile."
        yield Finding("feed", "warning", f"the {freshness}.", advice)
    else:
        newest = feed.releases[0].version if feed.releases else "no release"
        yield Finding("feed", "ok", f"{feed.app} {feed.channel}, sequence {feed.sequence}, newest: {newest}.")
    if feed.app != facts.state.app:
        message = f"the feed is of the app {feed.app!r}, this site runs {facts.state.app!r}."
        yield Finding("feed", "error", message, "Correct [feed] url in updater.toml.")


def check_trust(facts: Facts) -> Iterator[Finding]:
    """The root of trust, and when the publisher's signatures expire."""
    from updater.trust import fingerprint, validate_root

    root = read_file(facts.site.directory / "root.json")
    version = validate_root(root)
    yield Finding("trust", "ok", f"Installed with root {version}, fingerprint {fingerprint(root)}.")
    yield from judge_expiry(facts.now, facts.fetched.trusted.expires)


def judge_expiry(now: datetime, expires: Mapping[str, datetime]) -> Iterator[Finding]:
    """Findings about signatures that have expired or soon will, by role."""
    for role, end in sorted(expires.items()):
        left = end - now
        soon = _SOON_ONLINE if role == "timestamp" else _SOON
        if left <= timedelta(0):
            message = f"the publisher's {role} signature expired on {end:%Y-%m-%d}."
            yield Finding("trust", "error", message, "Tell the publisher: `feedgen refresh`, or signing anew, is due.")
        elif left < soon:
            message = f"the publisher's {role} signature expires on {end:%Y-%m-%d}."
            yield Finding("trust", "warning", message, "Tell the publisher if it is not renewed in time.")
    if expires and all(end - now >= _SOON_ONLINE for end in expires.values()):
        first = min(expires, key=lambda role: expires[role])
        yield Finding("trust", "ok", f"The next signature to expire is {first}, on {expires[first]:%Y-%m-%d}.")
