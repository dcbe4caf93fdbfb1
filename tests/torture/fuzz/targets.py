"""The table of what is fuzzed."""

from __future__ import annotations

from tests.torture.fuzz import archives, deltas, documents, indexes, network, recovering, states, transactions
from tests.torture.fuzz.target import Target, Wrong

__all__ = ["TARGETS", "Target", "Wrong"]

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (documents, archives, deltas, indexes, transactions, states, network, recovering)
    for target in module.TARGETS
}
