"""Run by the peers' own Python: the bytes that other methods need between two trees, as uncompressed tar archives.

``archive_peers.py OLD NEW`` prints one JSON object, method to bytes.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def tar(tree: Path) -> bytes:
    """The tree as one archive, sorted, without what differs between machines."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(tree).as_posix())
                entry.size = path.stat().st_size
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    return out.getvalue()


def main(old_tree: Path, new_tree: Path) -> dict[str, int]:
    """xdelta3, HDiffPatch and zstd, each as its users run it at its best."""
    import hdiffpatch  # type: ignore[import-not-found,unused-ignore]

    old, new = tar(old_tree), tar(new_tree)
    found = {"HDiffPatch": len(hdiffpatch.diff(old, new, compression=hdiffpatch.Lzma2Config(level=9)))}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, name) for name in ("old", "new", "patch")}
        paths["old"].write_bytes(old)
        paths["new"].write_bytes(new)
        one, two, three = (str(paths[name]) for name in ("old", "new", "patch"))
        subprocess.run(
            ["xdelta3", "-e", "-9", "-S", "lzma", "-B", "268435456", "-f", "-s", one, two, three], check=True
        )
        found["xdelta3"] = paths["patch"].stat().st_size
        subprocess.run(["zstd", "-q", "-f", "-19", "--long=31", f"--patch-from={one}", two, "-o", three], check=True)
        found["zstd"] = paths["patch"].stat().st_size
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
