"""Reading small files that anybody may have replaced by something else (standard library only)."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

__all__ = ["MOST", "MOST_MANIFEST", "load_json", "open_handle", "open_regular", "read_file", "read_json"]

_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # the last is Windows' own, the others are not
    _FLAGS |= getattr(os, _name, 0)

MOST = 64 * 2**20
"""Bytes that one of our own documents has at most."""

MOST_MANIFEST = 2**28
"""Bytes that a manifest has at most (what a feed may announce), and so a list of its files."""


def open_regular(path: str | Path, *, flags: int = 0) -> BinaryIO:
    """Open a regular file for reading, unbuffered. Raises OSError for everything else, at once: a pipe is not waited
    for, and a device not read for ever. ``flags`` are added to those of ``os.open``."""
    handle, _ = open_handle(path, flags=flags)
    return io.FileIO(handle, "rb")


def open_handle(path: str | Path, *, flags: int = 0) -> tuple[int, int]:
    """The same as a descriptor, which the caller closes, and the size in bytes that the file has now: for whoever
    reads thousands of small files."""
    handle = os.open(path, _FLAGS | flags)
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise _error(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise _error(errno.EINVAL, "Not a regular file", path)
    except BaseException:
        os.close(handle)
        raise
    return handle, status.st_size


def read_file(path: Path, *, most: int = MOST) -> bytes:
    """The whole of a regular file. Raises OSError as `open_regular`, and for a file of more than ``most`` bytes."""
    chunks, left = [], most + 1
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise _error(errno.EFBIG, f"Larger than the {most} bytes that are allowed for it", path)
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            chunks.append(chunk)
            left -= len(chunk)
    if left <= 0:
        raise _error(errno.EFBIG, f"Larger than the {most} bytes that are allowed for it", path)
    return b"".join(chunks)


def read_json(path: Path, *, most: int = MOST) -> Any:
    """The value in one of our own JSON files. Raises OSError as `read_file`, and ValueError when it is not JSON."""
    return load_json(read_file(path, most=most))


def load_json(data: bytes | str) -> Any:
    """`json.loads` whose every refusal is a ValueError: also of what is nested without end, and of numbers that are not
    numbers, or text that is none, which could not be written back as JSON."""
    text = data if isinstance(data, str) else data.decode("utf-8")
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")  # names of files may be any bytes
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _error(number: int, text: str, path: str | Path) -> OSError:
    return OSError(number, text, str(path))
