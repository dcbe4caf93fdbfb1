"""Checks before the first change: can every path be replaced, and is there room? (standard library only)"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from updater.errors import PreflightError
from updater.frozen import frozen
from updater.install.obstacles import obstacles, unwritable
from updater.install.space import MARGIN, can_link, check_needs, needs
from updater.install.transaction import Transaction
from updater.site.site import Site

__all__ = ["MARGIN", "Finding", "preflight", "unwritable"]

_SHOWN = 10


@frozen
class Finding:
    """What one check found. ``advice`` says what to do about it; empty when all is well."""

    check: str
    level: Literal["ok", "warning", "error"]
    message: str
    advice: str = ""


def preflight(site: Site, transaction: Transaction, tree: Path, staged: int) -> None:
    """Refuse an update that could not be carried through. ``staged``: bytes for new files, database and ballast.

    Raises PreflightError (DiskSpaceError).
    """
    try:
        problems = obstacles(site, transaction, tree)
        if problems:
            more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
            raise PreflightError(
                "The update could not replace everything, so nothing was changed:\n  "
                + "\n  ".join([*problems[:_SHOWN], *more]),
                hint="Run the commands named above, or the update as the user who owns these places "
                "(for example `sudo -u OWNER updater update`).",
            )
        check_needs(needs(site, transaction, tree, staged=staged, links=can_link(site)))
    except OSError as error:
        raise PreflightError(
            f"It cannot be seen whether the update would succeed, so nothing was changed: {error}",
            hint="Run it as the user who owns the site, and check the disk.",
        ) from error
