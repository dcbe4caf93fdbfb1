"""The store that ``--store`` names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from feedgen.cli.console import Workspace, step
from feedgen.publish.store import Store, local_store

__all__ = ["notes_from", "open_store"]


@contextmanager
def open_store(work: Workspace, name: str | None) -> Iterator[Store]:
    """The local folder ``name``, by default the site's, or ``github``: the repository's releases.

    Raises ``ConfigError`` when what it needs is not set.
    """
    if name != "github":
        yield local_store(Path(name) if name else None, work.site, work.config)
        return
    from feedgen.github import github_store

    with github_store(work.project.folder, work.config, os.environ, step) as store:
        yield store


def notes_from(store: Store, tag: str) -> Callable[[], str]:
    """What asks ``store`` for the release notes of ``tag``. Raises ``UsageError`` for a store that writes none."""
    from feedgen.github import GitHubStore

    if not isinstance(store, GitHubStore):
        raise click.UsageError("--generate-notes goes together with --store github: it is GitHub that writes them.")
    return lambda: store.generated_notes(tag)
