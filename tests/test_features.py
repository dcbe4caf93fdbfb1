"""docs/features.md tells the truth: it has every row that was asked for, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [line for line in (ROOT / "docs" / "features.md").read_text("utf-8").splitlines() if line.startswith("| S")]


def test_every_row_has_its_place():
    assert [row.split("|")[1].strip() for row in ROWS] == [f"S{number}" for number in range(1, 26)]


def test_every_row_is_shown_or_waits():
    assert [row for row in ROWS if "::" not in row and "waits for issue" not in row] == []


def test_every_test_that_is_named_exists():
    missing = []
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", "\n".join(ROWS)):
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            missing.append(f"{file}::{name}")
    assert missing == []
