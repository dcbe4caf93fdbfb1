"""Changes of what a feed says beside its releases, the same in all channels: pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from feedgen.errors import PublishError
from updater.schema.feed import Feed

__all__ = ["FeedEdit", "carried_on", "changed", "following"]

FeedEdit = Callable[[Feed], Feed]


def changed(feed: Feed, edit: FeedEdit, now: datetime) -> Feed | None:
    """The feed after an edit, one step newer; None when nothing changes. Raises ``PublishError`` for something that
    clients would refuse to read."""
    new = edit(feed)
    if new == feed:
        return None
    try:
        return Feed.parse(following(feed, new, now).to_bytes())
    except ValueError as error:
        raise PublishError(f"This cannot be published: {error}") from error


def following(before: Feed | None, feed: Feed, now: datetime) -> Feed:
    """``feed`` as the one that is published after ``before``: one higher in number, and not older whatever the clock
    says."""
    generated = now.astimezone(UTC).replace(microsecond=0)
    if before is None:
        return replace(feed, sequence=1, generated=generated)
    return replace(feed, sequence=before.sequence + 1, generated=max(generated, before.generated))


def carried_on(feed: Feed, others: list[Feed]) -> Feed:
    """A channel's first feed says what the others say."""
    if not others:
        return feed
    same = others[0]
    return replace(feed, advisories=same.advisories, end_of_life=same.end_of_life, licensing=same.licensing)
