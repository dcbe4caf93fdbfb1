"""Reading packages and exported restore points, and writing the latter (docs/formats.md sections 3 and 9.1).

A reader refuses whatever a correct publisher does not write; it never repairs. Standard library only.

- `PackageReader` opens a downloaded package; `read_tail` reads the manifest out of its last bytes.
- `ArchiveReader` and `ArchiveWriter` are the same structure for exported restore points.
"""

from updater.package.archive import ArchiveReader, MemberSpec, Progress
from updater.package.reader import PackageReader, Tail, read_tail
from updater.package.structure import Member
from updater.package.writer import ArchiveWriter

__all__ = [
    "ArchiveReader",
    "ArchiveWriter",
    "Member",
    "MemberSpec",
    "PackageReader",
    "Progress",
    "Tail",
    "read_tail",
]
