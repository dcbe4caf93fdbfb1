"""A site's place in the groups that a maintainer makes (docs/formats.md section 2)."""

from __future__ import annotations

import hashlib

__all__ = ["COHORTS", "cohort_of"]

COHORTS = 10_000


def cohort_of(site_id: str, salt: str) -> int:
    """A site's stable place, 0 to 9999, for one salt; independent between salts."""
    digest = hashlib.sha256(f"{salt}\0{site_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % COHORTS
