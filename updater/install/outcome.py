"""How a transaction ended, and its line in the site's history (standard library only)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from updater.frozen import frozen
from updater.install.component_changes import ComponentChange, describe
from updater.install.transaction import Transaction
from updater.schema.text import CORE
from updater.site.history import append_history, read_history
from updater.site.site import Site

__all__ = ["Outcome", "Result", "record_outcome"]

Result = Literal["done", "rolled-back", "discarded"]


@frozen
class Outcome:
    """How a transaction ended. ``restore_point`` is the id of the way back; ``edited`` lists the owner's changes
    that were replaced (copies are kept), ``kept`` those that stayed. ``components``: as in the transaction."""

    result: Result
    id: str
    from_version: str | None
    to_version: str | None
    restore_point: str | None = None
    edited: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""
    components: tuple[ComponentChange, ...] = ()

    @property
    def what(self) -> str:
        """Where it led, for people."""
        return describe(self.components or (ComponentChange(CORE, self.from_version, self.to_version),))


def record_outcome(site: Site, transaction: Transaction, outcome: Outcome, at: datetime) -> None:
    """Add one line of history, once: a crash after writing it must not write it again."""
    if any(entry.get("id") == outcome.id for entry in read_history(site.history_path)):
        return
    append_history(
        site.history_path,
        at,
        transaction.purpose,
        id=outcome.id,
        result=outcome.result,
        **{"from": outcome.from_version, "to": outcome.to_version},
        edited=list(outcome.edited),
        kept=list(outcome.kept),
        warnings=list(outcome.warnings),
        reason=outcome.reason,
        **({"components": [change.to_json() for change in outcome.components]} if outcome.components else {}),
    )
