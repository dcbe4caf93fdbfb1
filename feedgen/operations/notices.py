"""Advisories and ends of support: pure changes of a feed (docs/formats.md section 2.2)."""

from __future__ import annotations

from dataclasses import replace

from feedgen.operations.feed_edits import FeedEdit
from updater.schema.feed import Advisory, EndOfLife, Feed

__all__ = ["advise", "end_support", "support_again", "withdraw"]


def advise(advisory: Advisory) -> FeedEdit:
    """Add an advisory, or replace the one of that id, which keeps its date."""

    def edit(feed: Feed) -> Feed:
        old = next((item for item in feed.advisories if item.id == advisory.id), None)
        new = advisory if old is None else replace(advisory, published=old.published, extra=old.extra)
        others = [item for item in feed.advisories if item.id != advisory.id]
        return replace(feed, advisories=tuple(sorted((*others, new), key=lambda item: (item.published, item.id))))

    return edit


def withdraw(name: str) -> FeedEdit:
    """Take an advisory away."""
    return lambda feed: replace(feed, advisories=tuple(item for item in feed.advisories if item.id != name))


def end_support(end: EndOfLife) -> FeedEdit:
    """Say when versions get no more fixes; for the same versions it replaces what was said."""

    def edit(feed: Feed) -> Feed:
        others = [item for item in feed.end_of_life if item.affected != end.affected]
        return replace(feed, end_of_life=tuple(sorted((*others, end), key=lambda item: (item.at, item.affected))))

    return edit


def support_again(affected: str) -> FeedEdit:
    """Take such a statement back."""
    return lambda feed: replace(feed, end_of_life=tuple(item for item in feed.end_of_life if item.affected != affected))
