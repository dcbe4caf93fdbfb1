"""The reader of one archive whose members are known beforehand (docs/formats.md sections 3 and 9.1)."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import BinaryIO, Self

from updater.errors import TargetMismatchError
from updater.frozen import frozen
from updater.package.content import read_content
from updater.package.directory import Rules, check_local, read_members
from updater.package.sources import ByteSource, FileSource, Findings
from updater.package.structure import Member
from updater.schema.paths import check_symlink

__all__ = ["Archive", "ArchiveReader", "MemberSpec", "Progress"]

Progress = Callable[[int, int], None]
"""Told the bytes done so far and in total."""

_INDEX_LIMIT = 1 << 28


@frozen
class MemberSpec:
    """What a member must be. ``size`` in bytes; ``mode`` is the permission bits, 0 for a symlink."""

    size: int
    sha256: str
    mode: int = 0o644
    symlink: str | None = None


class Archive:
    """An archive in our structure, from one open handle that nobody else uses meanwhile and that stays the caller's.

    Every method raises UnsafeArchiveError for what no correct writer makes, TargetMismatchError when content differs
    from its digest, StateError when the handle cannot be read, and KeyError for a path that was not expected.
    """

    def __init__(self, source: ByteSource, findings: Findings, rules: Rules) -> None:
        self._source = source
        self._findings = findings
        self._rules = rules
        self._members = {member.path: member for member in read_members(source, rules, findings)}
        self._specs: dict[str, MemberSpec] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The handle stays open: it is the caller's."""

    def _check_locals(self) -> None:
        for member in self._members.values():
            check_local(self._source, member, self._findings)
        self._findings.finish()

    @property
    def members(self) -> Mapping[str, Member]:
        """Every member by path, the index included, in the archive's order."""
        return self._members

    def read_index(self, limit: int = _INDEX_LIMIT) -> bytes:
        """The content of the last member, at most ``limit`` bytes. Only its CRC is checked."""
        member = self._members[self._rules.index]
        if member.size > limit:
            self._findings.fail(repr(member.path), f"has {member.size} bytes; at most {limit} are read")
        return b"".join(read_content(self._source, member, self._findings))

    def expect(self, specs: Mapping[str, MemberSpec]) -> None:
        """Refuse unless the members but the index are exactly ``specs``, each with that size, type and mode."""
        present = {path: member for path, member in self._members.items() if path != self._rules.index}
        for path in specs.keys() - present.keys():
            self._findings.add(repr(path), "is listed, but not in the archive")
        for path, member in present.items():
            if path not in specs:
                self._findings.add(repr(path), "is in the archive, but not listed")
            else:
                for problem in _differences(member, specs[path]):
                    self._findings.add(repr(path), problem)
        self._findings.finish()
        self._specs = dict(specs)

    def extract(self, path: str, destination: BinaryIO) -> None:
        """Write one file's content to ``destination``: bounded memory, and never more than its listed size.

        What was written is only good when this returns. OSError from ``destination`` passes through.
        """
        for chunk in self._verified(path):
            destination.write(chunk)

    def read(self, path: str, limit: int = _INDEX_LIMIT) -> bytes:
        """The content of one small file of at most ``limit`` bytes, verified."""
        if self._specs[path].size > limit:
            self._findings.fail(repr(path), f"has {self._specs[path].size} bytes; at most {limit} are read")
        buffer = io.BytesIO()
        self.extract(path, buffer)
        return buffer.getvalue()

    def read_symlink(self, path: str) -> str:
        """The target of the symlink at ``path``, verified to be the listed one."""
        spec = self._specs[path]
        target = self.read(path)
        if spec.symlink is None or target != spec.symlink.encode("utf-8"):
            self._findings.fail(repr(path), "is not a symlink to the listed target")
        return spec.symlink

    def verify(self, progress: Progress | None = None) -> None:
        """Read every member and compare it with its digest; ``progress`` is told bytes after each chunk."""
        total = sum(spec.size for spec in self._specs.values())
        done = 0
        for path, spec in self._specs.items():
            if spec.symlink is not None:
                self.read_symlink(path)
                done += spec.size
            else:
                for chunk in self._verified(path):
                    done += len(chunk)
                    if progress is not None:
                        progress(done, total)
        if progress is not None:
            progress(done, total)

    def _verified(self, path: str) -> Iterator[bytes]:
        spec = self._specs[path]
        digest = hashlib.sha256()
        for chunk in read_content(self._source, self._members[path], self._findings):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != spec.sha256:
            raise TargetMismatchError(
                f"{path!r} in {self._findings.name} has not the listed SHA-256",
                hint="The file is damaged or was changed. Download it again.",
            )


class ArchiveReader(Archive):
    """An exported restore point. Opening checks structure and paths; then the last member, the index, says what the
    others must be: read it with `read_index`, pass its list to `expect`, and only then can they be read.
    """

    @classmethod
    def open(cls, file: BinaryIO, *, index: str = "restore_point.json", name: str = "the archive") -> Self:
        """Check the structure. ``index`` is the path of the last member; ``name`` stands in errors."""
        findings = Findings(name)
        archive = cls(FileSource(file, findings), findings, Rules(index=index, modes=range(0o1000)))
        archive._check_locals()
        return archive


def _differences(member: Member, spec: MemberSpec) -> Iterator[str]:
    if member.size != spec.size:
        yield f"has {member.size} bytes in the archive and {spec.size} in the list"
    if member.is_symlink != (spec.symlink is not None):
        yield "is a symlink in the archive or in the list, and not in the other"
    elif spec.symlink is not None:
        yield from _link_problems(member, spec.symlink)
    elif stat.S_IMODE(member.mode) != spec.mode:
        yield f"has the mode {stat.S_IMODE(member.mode):04o} in the archive and {spec.mode:04o} in the list"


def _link_problems(member: Member, target: str) -> Iterator[str]:
    try:
        check_symlink(member.path, target)
    except ValueError as error:
        yield str(error)
    if len(target.encode("utf-8", "surrogatepass")) != member.size:
        yield "is a symlink whose size is not that of its target"
