"""Advisories and ends of support: pure changes of a feed (docs/formats.md section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from feedgen.errors import PublishError
from updater.schema.feed import Advisory, EndOfLife, Feed

__all__ = ["NoticeEdit", "advise", "carried_on", "changed", "end_support", "support_again", "withdraw"]

NoticeEdit = Callable[[Feed], Feed]


def advise(advisory: Advisory) -> NoticeEdit:
    """Add an advisory, or replace the one of that id, which keeps its date."""

    def edit(feed: Feed) -> Feed:
        old = next((item for item in feed.advisories if item.id == advisory.id), None)
        new = advisory if old is None else replace(advisory, published=old.published, extra=old.extra)
        others = [item for item in feed.advisories if item.id != advisory.id]
        return replace(feed, advisories=tuple(sorted((*others, new), key=lambda item: (item.published, item.id))))

    return edit


def withdraw(name: str) -> NoticeEdit:
    """Take an advisory away."""
    return lambda feed: replace(feed, advisories=tuple(item for item in feed.advisories if item.id != name))


def end_support(end: EndOfLife) -> NoticeEdit:
    """Say when versions get no more fixes; for the same versions it replaces what was said."""

    def edit(feed: Feed) -> Feed:
        others = [item for item in feed.end_of_life if item.affected != end.affected]
        return replace(feed, end_of_life=tuple(sorted((*others, end), key=lambda item: (item.at, item.affected))))

    return edit


def support_again(affected: str) -> NoticeEdit:
    """Take such a statement back."""
    return lambda feed: replace(feed, end_of_life=tuple(item for item in feed.end_of_life if item.affected != affected))


def changed(feed: Feed, edit: NoticeEdit, now: datetime) -> Feed | None:
    """The feed after an edit, one step newer; None when nothing changes. Raises ``PublishError`` for a notice that
    clients would refuse to read."""
    new = edit(feed)
    if (new.advisories, new.end_of_life) == (feed.advisories, feed.end_of_life):
        return None
    generated = max(now.astimezone(UTC).replace(microsecond=0), feed.generated)
    new = replace(new, sequence=feed.sequence + 1, generated=generated)
    try:
        return Feed.parse(new.to_bytes())
    except ValueError as error:
        raise PublishError(f"This notice cannot be published: {error}") from error


def carried_on(feed: Feed, others: list[Feed]) -> Feed:
    """A channel's first feed says what the others say."""
    for other in others:
        if other.advisories or other.end_of_life:
            return replace(feed, advisories=other.advisories, end_of_life=other.end_of_life)
    return feed
