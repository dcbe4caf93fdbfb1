"""The hostile inputs that are kept in ``corpus/<target>/<what is wrong>``, and what must come of each.

The tables are written by hand; ``python -m tests.torture.fuzz.kept`` writes the files anew. A test holds that files and
tables agree, so that an input cannot change unnoticed, and that nothing but the tables' outcome comes of one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.torture.fuzz import kept_archives, kept_documents, kept_network, kept_states

__all__ = ["CORPUS", "all_cases"]

CORPUS = Path(__file__).parent / "corpus"


def all_cases() -> Iterator[tuple[str, str, bytes, str]]:
    """Target, name, input and outcome of each."""
    for module in (kept_documents, kept_archives, kept_states, kept_network):
        for target, cases in module.CASES.items():
            for name, (data, expected) in cases.items():
                yield target, name, data, expected


def write() -> int:
    """Write every file; the number of them."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    count = 0
    for target, name, data, _ in all_cases():
        path = CORPUS / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        count += 1
    return count


if __name__ == "__main__":
    print(f"{write()} inputs in {CORPUS}")
