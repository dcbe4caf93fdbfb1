"""From an archive's last bytes to its list of members, refusing every structure but ours (docs/formats.md 3)."""

from __future__ import annotations

import stat
from collections.abc import Collection
from typing import NamedTuple

from updater.frozen import frozen
from updater.package.sources import ByteSource, Findings
from updater.package.structure import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DEFLATE,
    END,
    END_SIGNATURE,
    LOCAL,
    LOCAL_SIGNATURE,
    MADE_BY,
    STORE,
    SYMLINK_MODE,
    UTF8_FLAG,
    VERSION_NEEDED,
    Member,
    pack_local,
)
from updater.schema.paths import check_path, find_collisions

__all__ = ["Rules", "check_local", "read_members"]

_LONGEST_COMMENT = 0xFFFF


@frozen
class Rules:
    """What differs between packages and exports: the last member's name, and the permission bits files may have."""

    index: str
    modes: Collection[int]


class _Central(NamedTuple):
    signature: bytes
    made_by: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc32: int
    packed_size: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    external: int
    offset: int


def read_members(source: ByteSource, rules: Rules, findings: Findings) -> tuple[Member, ...]:
    """All members in order, from the directory alone. Raises UnsafeArchiveError that lists what is wrong."""
    count, start, size = _read_end(source, findings)
    data = source.read(start, size)
    members: list[Member] = []
    position = 0
    for index in range(count):
        if size - position < CENTRAL.size:
            findings.fail(f"byte {start + position}", f"the directory ends after {index} of {count} members")
        header = _Central._make(CENTRAL.unpack_from(data, position))
        where = f"byte {start + position}"
        position += CENTRAL.size
        members.append(_read_member(header, data[position : position + header.name_length], where, rules, findings))
        position += header.name_length
    if position != size:
        findings.fail(f"byte {start + position}", f"the directory holds {size - position} bytes that are no member")
    _check_layout(members, start, findings)
    _check_names(members, rules, findings)
    findings.finish()
    return tuple(members)


def _read_end(source: ByteSource, findings: Findings) -> tuple[int, int, int]:
    """The number of members, and the directory's offset and size."""
    if source.size < END.size:
        findings.fail("", f"{source.size} bytes are too few for a package")
    position = source.size - END.size
    where = f"byte {position}"
    fields = END.unpack(source.read(position, END.size))
    signature, disk, start_disk, here, count, size, start, comment = fields
    if signature != END_SIGNATURE or comment:
        findings.fail(where, _why_no_end(source, comment if signature == END_SIGNATURE else 0))
    if count == 0xFFFF or here == 0xFFFF or 0xFFFFFFFF in (size, start):
        findings.fail(where, "is a ZIP64 archive")
    if disk or start_disk or here != count:
        findings.fail(where, "the archive is split over several disks")
    if count == 0:
        findings.fail(where, "the archive has no members")
    if start + size != position:
        off = position - start - size
        findings.fail(
            where,
            f"the directory should end here and ends {abs(off)} bytes {'earlier' if off > 0 else 'later'}"
            " (data was put before or into the archive)",
        )
    return count, start, size


def _why_no_end(source: ByteSource, comment: int) -> str:
    if comment:
        return "the archive has a comment"
    length = min(source.size - source.first, END.size + _LONGEST_COMMENT)
    if END_SIGNATURE in source.read(source.size - length, length):
        return "the archive has a comment, data after its end record, or is cut short within that"
    return "the archive has no end record here; it is cut short or not a zip"


def _read_member(header: _Central, name: bytes, where: str, rules: Rules, findings: Findings) -> Member:
    if header.signature != CENTRAL_SIGNATURE:
        findings.fail(where, "no directory entry begins here")
    if len(name) != header.name_length:
        findings.fail(where, "the directory ends within a name")
    try:
        path = name.decode("utf-8")
    except UnicodeDecodeError:
        findings.fail(where, f"the name {name[:40]!r} is not UTF-8")
    where = f"{path!r} ({where})"
    if header.extra_length or header.comment_length:
        findings.fail(where, "has an extra field" if header.extra_length else "has a comment")
    for problem in (*_format_problems(header), *_mode_problems(header.external, path, rules)):
        findings.add(where, problem)
    return Member(
        path=path,
        offset=header.offset,
        method=header.method,
        crc32=header.crc32,
        packed_size=header.packed_size,
        size=header.size,
        mode=header.external >> 16,
        stamp=(header.time, header.date),
    )


def _format_problems(header: _Central) -> list[str]:
    found = [text for mask, text in ((0x1, "is encrypted"), (0x8, "has a data descriptor")) if header.flags & mask]
    if header.flags != UTF8_FLAG and not found:
        found.append(f"has the flags {header.flags:#06x} instead of {UTF8_FLAG:#06x}")
    if 0xFFFFFFFF in (header.size, header.packed_size, header.offset):
        found.append("has ZIP64 sizes")
    if header.method not in (STORE, DEFLATE):
        found.append(f"uses the unknown method {header.method}")
    if header.method == STORE and header.packed_size != header.size:
        found.append("is stored, but its two sizes differ")
    if header.method == DEFLATE and header.packed_size >= header.size:
        found.append("is deflated without being smaller")
    if (header.made_by, header.needed) != (MADE_BY, VERSION_NEEDED):
        found.append(f"was made as {header.made_by:#06x} and needs {header.needed}")
    if header.disk:
        found.append("lies on another disk")
    if header.internal or header.external & 0xFFFF:
        found.append("has DOS attributes")
    return found


def _mode_problems(external: int, path: str, rules: Rules) -> list[str]:
    mode = external >> 16
    kind, bits = stat.S_IFMT(mode), stat.S_IMODE(mode)
    if kind == stat.S_IFDIR or path.endswith("/"):
        return ["is a directory, which archives here do not list"]
    if kind == stat.S_IFLNK:
        return [] if mode == SYMLINK_MODE else [f"is a symlink with the mode {mode:o}"]
    if kind != stat.S_IFREG:
        return [f"is a device or another special file (mode {mode:o})" if kind else "has no Unix file type"]
    if bits & 0o7000:
        return [f"has setuid, setgid or sticky bits (mode {bits:04o})"]
    return [] if bits in rules.modes else [f"has the mode {bits:04o}"]


def _check_layout(members: list[Member], directory: int, findings: Findings) -> None:
    """Local headers and contents follow each other from byte 0 to the directory, without a byte between."""
    position = 0
    for member in members:
        if member.offset != position:
            kind = "a gap before it" if member.offset > position else "overlaps what is before it"
            findings.add(_where(member), f"{kind}: begins at byte {member.offset} instead of {position}")
        position = member.end
    if position != directory:
        findings.add(f"byte {position}", f"the members end here, but the directory begins at byte {directory}")
    if len({member.stamp for member in members}) > 1:
        findings.add("", "the members do not all have the same time")


def _check_names(members: list[Member], rules: Rules, findings: Findings) -> None:
    *tree, last = members
    if last.path != rules.index:
        findings.add(_where(last), f"is last, where {rules.index!r} must be")
    elif last.is_symlink:
        findings.add(_where(last), "is a symlink")
    for member in tree:
        try:
            check_path(member.path)
        except ValueError as error:
            findings.add(f"byte {member.offset}", f"the path {error}")
    for collision in find_collisions(member.path for member in members):
        findings.add("", collision)


def check_local(source: ByteSource, member: Member, findings: Findings) -> None:
    """Note when a member's local header is not the very bytes that its directory entry demands."""
    expected = pack_local(member)
    actual = source.read(member.offset, len(expected))
    if actual == expected:
        return
    names = ("signature", "version", "flags", "method", "time", "date", "CRC", "packed size", "size", "name length")
    wanted, found = LOCAL.unpack_from(expected), LOCAL.unpack_from(actual)
    if found[0] != LOCAL_SIGNATURE:
        findings.fail(_where(member), "no local header begins there")
    differing = [name for name, a, b in zip((*names, "extra field"), wanted, found, strict=True) if a != b] or ["name"]
    findings.add(_where(member), f"local header and directory disagree about its {', '.join(differing)}")


def _where(member: Member) -> str:
    return f"{member.path!r} (byte {member.offset})"
