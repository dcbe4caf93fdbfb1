"""Dates in HTTP headers, from servers that get them wrong (standard library, pure)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["parse_http_date"]


def parse_http_date(value: str) -> datetime | None:
    """The moment (aware, UTC) that an HTTP date names; None for what names none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # a year 10000, or a day of twenty digits
        return None
