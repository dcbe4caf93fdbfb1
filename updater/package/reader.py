"""Reading a package: exactly the manifest's files in exactly our structure, or nothing (docs/formats.md section 3)."""

from __future__ import annotations

import hashlib
from typing import BinaryIO, Self

from updater.errors import TargetMismatchError
from updater.frozen import frozen
from updater.package.archive import Archive, MemberSpec
from updater.package.directory import Rules, check_local
from updater.package.sources import ByteSource, FileSource, Findings, TailSource
from updater.package.structure import Member
from updater.schema.manifest import MANIFEST_NAME, Manifest

__all__ = ["PackageReader", "Tail", "read_tail"]

_RULES = Rules(index=MANIFEST_NAME, modes=(0o644, 0o755))


class PackageReader(Archive):
    """A package whose manifest has the signed digest and whose members are what the manifest lists.

    ``manifest`` is the parsed manifest and ``manifest_bytes`` are the bytes that were signed. See `Archive` for
    extracting, and for the handle: verify the whole file's digest and read from the same handle, so that nobody can
    swap the file between the check and the use.
    """

    manifest: Manifest
    manifest_bytes: bytes

    @classmethod
    def open(cls, file: BinaryIO, *, manifest_sha256: str, manifest_size: int, name: str = "the package") -> Self:
        """Check the structure and the manifest. ``manifest_size`` in bytes; ``name`` stands in errors.

        Raises UnsafeArchiveError for the structure, TargetMismatchError when the manifest is not the signed one,
        SchemaError when the signed manifest breaks its own format.
        """
        findings = Findings(name)
        package = cls(FileSource(file, findings), findings, _RULES)
        package._check_locals()
        package._load_manifest(manifest_sha256, manifest_size)
        return package

    @classmethod
    def _open_tail(cls, source: ByteSource, findings: Findings, offset: int, sha256: str, size: int) -> Self:
        package = cls(source, findings, _RULES)
        member = package.members[MANIFEST_NAME]
        if member.offset != offset:
            findings.fail(repr(MANIFEST_NAME), f"begins at byte {member.offset}; the feed says {offset}")
        check_local(source, member, findings)
        findings.finish()
        package._load_manifest(sha256, size)
        return package

    def _load_manifest(self, sha256: str, size: int) -> None:
        name = self._findings.name
        member = self.members[MANIFEST_NAME]
        if member.size != size:
            raise TargetMismatchError(f"the manifest in {name} has {member.size} bytes; {size} were signed")
        data = self.read_index(limit=size)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TargetMismatchError(f"the manifest in {name} has not the signed SHA-256")
        self.manifest_bytes = data
        self.manifest = Manifest.parse(data, f"{MANIFEST_NAME} of {name}")
        self.expect(
            {
                path: MemberSpec(file.size, file.sha256, file.mode, file.symlink)
                for path, file in self.manifest.files.items()
            }
        )


@frozen
class Tail:
    """What the last bytes of a package say: its manifest, the signed bytes of that, and where every member lies."""

    manifest: Manifest
    manifest_bytes: bytes
    members: tuple[Member, ...]


def read_tail(data: bytes, offset: int, *, manifest_sha256: str, manifest_size: int, name: str = "the package") -> Tail:
    """The manifest out of the bytes from ``offset`` to the end of a package (``package.tail`` in the feed).

    Sizes and offsets in bytes. The manifest and the directory are checked as `PackageReader.open` does; the members
    themselves are not there to be checked. Raises the same errors.
    """
    findings = Findings(name)
    source = TailSource(data, offset, findings)
    package = PackageReader._open_tail(source, findings, offset, manifest_sha256, manifest_size)
    return Tail(package.manifest, package.manifest_bytes, tuple(package.members.values()))
