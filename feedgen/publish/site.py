"""The files of a published site besides packages and metadata, and the one way in which a change is put in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from feedgen.publish.writer import SiteWriter
from feedgen.repository.compose import Write, plain_copies
from feedgen.repository.state import RepositoryState, load

__all__ = ["MINISIGN_FILE", "Committed", "commit", "static_files"]

MINISIGN_FILE = "minisign.pub"


@dataclass(frozen=True)
class Committed:
    """Paths that were written, in order, and those that were removed."""

    written: tuple[str, ...]
    pruned: tuple[str, ...]


def static_files(minisign_public: str) -> list[Write]:
    """What every site has from the start. The 404 page is tiny because each check of each site fetches it once."""
    return [
        Write(".nojekyll", b""),
        Write("404.html", b"404\n"),
        Write(MINISIGN_FILE, minisign_public.encode()),
    ]


def commit(writer: SiteWriter, writes: Iterable[Write], *, now: datetime, grace: timedelta) -> Committed:
    """Put a composed change in place, then everything that follows from it: also what an interrupted run left undone.

    The site is read back and verified in between. Raises ``PublishError``, ``SigningError``, ``OSError``.
    """
    written = writer.put(writes)
    state = load(writer.site)
    written += writer.put([*plain_copies(state), *_pages(writer, state)])
    pruned = writer.prune(state.live_files(), now=now, grace=grace)
    return Committed(tuple(written), pruned)


def _pages(writer: SiteWriter, state: RepositoryState) -> list[Write]:
    """The public page, which follows from everything else. Loaded here: nothing before needs a template engine."""
    from feedgen.page.files import page_files

    return page_files(writer.site, state)
