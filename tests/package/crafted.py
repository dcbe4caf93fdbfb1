"""Archives put together byte by byte, so that a test can make any one field wrong."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field

from tests.support.packages import Built, Symlink, deflate, make_package
from updater.schema.manifest import MANIFEST_NAME

LOCAL_FIELDS = ("sig", "needed", "flags", "method", "time", "date", "crc", "packed", "size", "name_len", "extra_len")
CENTRAL_FIELDS = (
    *("sig", "made_by", "needed", "flags", "method", "time", "date", "crc", "packed", "size", "name_len"),
    *("extra_len", "comment_len", "disk", "internal", "external", "offset"),
)
END_FIELDS = ("sig", "disk", "start_disk", "here", "count", "dir_size", "dir_offset", "comment_len")

FILES: dict[str, bytes | Symlink] = {
    "app/main.py": b"print('hello')\n" * 40,
    "app/run.sh": b"#!/bin/sh\n" * 30,
    "data.bin": bytes((i * i * 37 + i // 7) % 251 for i in range(90)),
    "docs/latest": Symlink("../app/main.py"),
}


@dataclass
class Raw:
    """One member. ``local`` and ``central`` override header fields; ``data`` overrides what is stored."""

    name: bytes
    content: bytes
    mode: int = 0o100644
    data: bytes | None = None
    method: int | None = None
    gap: bytes = b""
    extra: bytes = b""
    local_extra: bytes = b""
    comment: bytes = b""
    after: bytes = b""
    local_name: bytes | None = None
    local: dict[str, int | bytes] = field(default_factory=dict)
    central: dict[str, int | bytes] = field(default_factory=dict)

    def both(self, **fields: int | bytes) -> Raw:
        self.local.update(fields)
        self.central.update({name: value for name, value in fields.items() if name in CENTRAL_FIELDS})
        return self


def good(**options: object) -> tuple[Built, list[Raw]]:
    """A package and its members, ready to be made wrong."""
    built = make_package(FILES, executable=["app/run.sh"], **options)  # type: ignore[arg-type]
    return built, raws_of(built)


def raws_of(built: Built) -> list[Raw]:
    contents = {path: target.encode() if isinstance(target, Symlink) else target for path, target in FILES.items()}
    raws = []
    for path, file in built.manifest.files.items():
        content = contents.get(path)
        if content is None:
            content = _stored(built.package, path)
        mode = 0o120777 if file.symlink is not None else 0o100000 | file.mode
        raws.append(Raw(path.encode(), content, mode))
    raws.append(Raw(MANIFEST_NAME.encode(), built.manifest_bytes))
    return raws


def _stored(package: bytes, path: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return archive.read(path)


def craft(raws: list[Raw], *, prefix: bytes = b"", middle: bytes = b"", end: dict[str, int] | None = None) -> bytes:
    """The archive; ``prefix`` and ``middle`` (before the directory) shift offsets as a correct writer would."""
    out, directory = bytearray(prefix), bytearray()
    for raw in raws:
        out += raw.gap
        offset = len(out)
        local, central = _headers(raw, offset)
        out += local
        directory += central
        out += _data(raw) + raw.after
    out += middle
    start = len(out)
    values: dict[str, int | bytes] = {
        "sig": b"PK\x05\x06",
        "disk": 0,
        "start_disk": 0,
        "here": len(raws),
        "count": len(raws),
        "dir_size": len(directory),
        "dir_offset": start,
        "comment_len": 0,
        **(end or {}),
    }
    return bytes(out + directory) + struct.pack("<4sHHHHIIH", *(values[name] for name in END_FIELDS))


def _data(raw: Raw) -> bytes:
    if raw.data is not None:
        return raw.data
    return deflate(raw.content) if _method(raw) == 8 else raw.content


def _method(raw: Raw) -> int:
    if raw.method is not None:
        return raw.method
    return 8 if len(deflate(raw.content)) < len(raw.content) else 0


def _headers(raw: Raw, offset: int) -> tuple[bytes, bytes]:
    base: dict[str, int | bytes] = {
        "needed": 20,
        "made_by": 3 << 8 | 20,
        "flags": 0x800,
        "method": _method(raw),
        "time": 20480,
        "date": 23604,
        "crc": zlib.crc32(raw.content),
        "packed": len(_data(raw)),
        "size": len(raw.content),
        "name_len": len(raw.name),
        "comment_len": len(raw.comment),
        "disk": 0,
        "internal": 0,
        "external": raw.mode << 16,
        "offset": offset,
    }
    name = raw.name if raw.local_name is None else raw.local_name
    local = {**base, "sig": b"PK\x03\x04", "extra_len": len(raw.local_extra), "name_len": len(name), **raw.local}
    central = {**base, "sig": b"PK\x01\x02", "extra_len": len(raw.extra), **raw.central}
    return (
        struct.pack("<4sHHHHHIIIHH", *(local[key] for key in LOCAL_FIELDS)) + name + raw.local_extra,
        struct.pack("<4sHHHHHHIIIHHHHHII", *(central[key] for key in CENTRAL_FIELDS))
        + raw.name
        + raw.extra
        + raw.comment,
    )
