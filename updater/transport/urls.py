"""Rules about addresses: which may be used, and how they are shown (standard library, pure)."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

__all__ = ["insecure_reason", "is_loopback", "origin", "shown"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


def _split(url: str) -> SplitResult | None:
    """The parts of ``url``; None when it is no URL with a host and a valid port."""
    try:
        parts = urlsplit(url)
        if parts.port == 0 or not parts.hostname:
            return None
    except ValueError:
        return None
    return parts


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine itself (``localhost``, ``127.0.0.0/8``, ``::1``)."""
    parts = _split(url)
    if parts is None or parts.hostname is None:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def insecure_reason(url: str) -> str:
    """Why ``url`` may not be fetched, as a clause such as "it is not https"; empty when it may be.

    Only https is accepted, and plain http for loopback hosts, where nobody can listen in.
    """
    parts = _split(url)
    if parts is None:
        return "it is not a complete URL"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)):
        return ""
    return "it is not https"


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of ``url``: what credentials belong to. ``ValueError`` when there is no host."""
    parts = _split(url)
    if parts is None or parts.hostname is None:
        raise ValueError("not a complete URL")
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def shown(url: str) -> str:
    """``url`` as it may appear in messages and logs: without user name, password, query and fragment.

    The query of a redirect often *is* the credential (signed storage URLs).
    """
    parts = _split(url)
    if parts is None:
        return url.partition("?")[0].rpartition("@")[2]
    text = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"{text}?..." if parts.query else text
