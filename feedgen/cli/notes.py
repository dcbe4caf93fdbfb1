"""``feedgen notes``: what is said about a release, also after it was published."""

from __future__ import annotations

from typing import TextIO

import click

from feedgen.cli.console import Workspace, success, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, run_edit, version_of
from feedgen.operations.edits import edit_notes

__all__ = ["notes_group"]


@click.group("notes")
def notes_group() -> None:
    """Print and edit release notes in the feeds. The package keeps the notes that it was built with."""


@notes_group.command("show")
@click.argument("version")
@click.option("--lang", metavar="TAG", help="The translation into this language, such as de.")
@with_workspace
def show_command(work: Workspace, version: str, lang: str | None) -> None:
    """Print the notes of VERSION as they are published."""
    notes = operator_of(work).state(version_of(work, version)).notes
    click.echo(notes.markdown if lang is None else notes.translations.get(lang, ""))


@notes_group.command("edit")
@click.argument("version")
@click.option("--file", "source", type=click.File(encoding="utf-8"), help="Take them from this file; - for input.")
@click.option("--text", metavar="MARKDOWN", help="Take them from the command line.")
@click.option("--lang", metavar="TAG", help="Edit the translation into this language; an empty one is removed.")
@dry_run_option
@with_workspace
def edit_command(
    work: Workspace, version: str, *, source: TextIO | None, text: str | None, lang: str | None, dry_run: bool
) -> None:
    """Replace the notes of VERSION, from a file, from the command line, or in your $EDITOR."""
    if source is not None and text is not None:
        raise click.UsageError("Give --file or --text, not both.")
    if source is not None:
        text = source.read()
    if text is None:
        notes = operator_of(work).state(version_of(work, version)).notes
        old = notes.markdown if lang is None else notes.translations.get(lang, "")
        text = click.edit(old, extension=".md")
        if text is None:
            success("The notes were not changed.")
            return
    what = f"has these notes ({lang})" if lang else "has these notes"
    run_edit(work, version, edit_notes(text.strip(), lang), dry_run=dry_run, done=what)
