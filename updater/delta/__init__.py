"""Deltas: what leads from one release to another in few bytes (docs/formats.md section 12).

`DeltaReader` reads one; `complete` makes the new manifest out of its outline and the digests of what was built. The
publisher's side is `feedgen.delta`. Zstandard is imported when a delta is read, not before.
"""

from updater.delta.groups import Group
from updater.delta.outline import complete
from updater.delta.reader import DeltaReader

__all__ = ["DeltaReader", "Group", "complete"]
