"""Notices as JSON to an address of the owner's, signed so that the receiver can tell where they come from."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import urlsplit

from updater.contrib.django.models import UpdateNotification
from updater.errors import DownloadError
from updater.schema.document import format_time
from updater.transport.urls import insecure_reason

__all__ = ["body_of", "post", "refusal", "signature_of"]

_TIMEOUTS = (5, 10)  # seconds: to connect, and between two bytes of the answer


def body_of(notice: UpdateNotification, app: str, installed: str | None) -> bytes:
    """The document: keys are only ever added to it."""
    document = {
        "schema": "1.0",
        "id": notice.key,
        "event": notice.kind,
        "app": app,
        "component": notice.component,
        "version": notice.version,
        "installed_version": installed,
        "critical": notice.critical,
        "text": notice.text,
        "at": format_time(notice.created),
    }
    return json.dumps(document).encode()


def signature_of(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA-256 over ``TIMESTAMP.BODY``: the time is part of it, so that an old message cannot be sent again."""
    return "sha256=" + hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()


def refusal(url: str) -> str:
    """Why this address is not taken, as a clause; empty when it is."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        return "it contains a password; sign the messages with a secret instead"
    return insecure_reason(url)


def post(url: str, secret: str, body: bytes) -> None:
    """Send it, without following redirects. Raises DownloadError unless the answer is a 2xx."""
    import requests

    why = refusal(url)
    if why:
        raise DownloadError(f"The webhook's address cannot be used: {why}.")
    timestamp = int(time.time())
    headers = {"Content-Type": "application/json", "X-Tagship-Timestamp": str(timestamp)}
    if secret:
        headers["X-Tagship-Signature"] = signature_of(secret, timestamp, body)
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=_TIMEOUTS, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        raise DownloadError(f"The webhook could not be reached: {type(error).__name__}") from error
    if not 200 <= status < 300:
        raise DownloadError(f"The webhook answered {status}.")
