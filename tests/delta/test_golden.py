"""The test vectors of docs/formats.md section 12.9: every published delta is still read, and means the same.

``python -m tests.delta.test_golden`` writes the vectors that are not there yet; the others are never changed.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import pytest

from tests.support.catalogs import make_catalog, make_record
from tests.support.deltas import apply, make_delta, tree_of
from tests.support.packages import Built, Symlink, make_package

GOLDEN = Path(__file__).parents[1] / "golden" / "delta"
LINES = [b"This is line number %d of a text.\n" % number for number in range(60)]
TEXT, NEXT = b"".join(LINES), b"".join([*LINES[:20], b"A new line.\n", *LINES[21:50], *LINES[55:]])
TEXTS = {b"Cancel": b"Abbrechen", b"%d file\0%d files": b"%d Datei\0%d Dateien", b"": b"Language: de\n"}
CODE, MORE = {"lib/a.py": b"A = 1\n", "lib/b.py": b"B = 1\n"}, {"lib/a.py": b"A = 2\n", "lib/b.py": b"B = 1\n"}
VECTORS: dict[str, tuple[dict[str, bytes | Symlink], dict[str, bytes | Symlink]]] = {
    "lines": ({"a.txt": TEXT}, {"a.txt": NEXT}),
    "statements": (
        {"a.js": b";".join(LINES).replace(b"\n", b" ")},
        {"a.js": b";".join(LINES[9:]).replace(b"\n", b" ")},
    ),
    "catalog": ({"de.mo": make_catalog(TEXTS)}, {"de.mo": make_catalog(TEXTS | {b"Save": b"Speichern"})}),
    "list-of-digests": (
        {**CODE, "lib-1.0.0.dist-info/RECORD": make_record(CODE, "lib-1.0.0.dist-info")},
        {**MORE, "lib-1.1.0.dist-info/RECORD": make_record(MORE, "lib-1.1.0.dist-info")},
    ),
    "names": (
        {"lib-1.0.0/a": b"same", "gone": b"x", "b": b"moves", "mode": b"m", "link": Symlink("b")},
        {"lib-1.1.0/a": b"same", "c/b": b"moves", "mode": b"m", "link": Symlink("c/b"), "é": b"added"},
    ),
    "pieces": (
        {"a.csv": b"".join(b"%d\n" % number for number in range(270_000))},
        {"a.csv": b"".join(b"%d\n" % number for number in range(1, 270_001))},
    ),
}


def packages(name: str) -> tuple[Built, Built]:
    """The two releases of a vector."""
    old, new = VECTORS[name]
    gone = sorted(set(old) - set(new), key=str.encode)
    return make_package(old), make_package(new, version="1.1.0", executable=["mode"], deleted=gone, notes="News.")


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_leads_where_it_says(name: str) -> None:
    old, new = packages(name)
    delta = (GOLDEN / f"{name}.delta").read_bytes()
    described = json.loads((GOLDEN / f"{name}.json").read_bytes())
    assert base64.b64decode(described["old_manifest"]) == old.manifest_bytes
    manifest, built = apply(delta, old.manifest, tree_of(old))
    assert manifest.to_bytes() == new.manifest_bytes == base64.b64decode(described["new_manifest"])
    assert sorted(built) == described["built"]


def write() -> None:
    """Write what is missing."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in VECTORS:
        old, new = packages(name)
        path = GOLDEN / f"{name}.delta"
        if path.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            path.write_bytes(make_delta(Path(folder), old, new).path.read_bytes())
        described = {
            "old_manifest": base64.b64encode(old.manifest_bytes).decode(),
            "new_manifest": base64.b64encode(new.manifest_bytes).decode(),
            "built": sorted(apply(path.read_bytes(), old.manifest, tree_of(old))[1]),
        }
        (GOLDEN / f"{name}.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
