"""Everything between "staged" and "committed": change the site, or bring it back. Standard library only.

docs/reliability.md describes the states, what is on disk in each, and the rule for each after a crash.
"""

from updater.install.changes import Change, Changes, compute_changes
from updater.install.engine import Engine
from updater.install.journal import Journal, State
from updater.install.observe import Observed, observe
from updater.install.outcome import Outcome
from updater.install.preflight import Finding, preflight
from updater.install.recovery import pending, recover
from updater.install.restore_points import RestorePoint, list_restore_points
from updater.install.transaction import Transaction

__all__ = [
    "Change",
    "Changes",
    "Engine",
    "Finding",
    "Journal",
    "Observed",
    "Outcome",
    "RestorePoint",
    "State",
    "Transaction",
    "compute_changes",
    "list_restore_points",
    "observe",
    "pending",
    "preflight",
    "recover",
]
