"""Compiled gettext catalogs (``.mo``) without what can be computed: a reversible form that compresses far better.

A catalog is a header, two tables of lengths and offsets, a hash table, then every string. `unpack` keeps the strings
alone, each original before its translation; `pack` computes the rest (docs/formats.md section 12.5). The hash is
hashpjw, the order of insertion and the table's size are those of GNU msgfmt.
"""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache
from itertools import accumulate, chain

__all__ = ["GettextError", "pack", "strings_size", "unpack"]

_MAGIC = 0x950412DE
_HEADER = 28
_SEPARATOR, _ESCAPED = b"\0", b"\1"
_MOST_PROBES = 64


class GettextError(ValueError):
    """Not a catalog in the one form that can be computed again."""


def unpack(data: bytes) -> tuple[int, bytes]:
    """Twice the number of strings, plus 1 when there is a hash table; and the strings of a catalog.

    Raises GettextError when ``data`` is no catalog that `pack` could make anew; that it does is not checked.
    """
    if len(data) < _HEADER:
        raise GettextError("too short")
    header = _words(data[:_HEADER])
    count, size, start = header[2], header[5], header[6] + 4 * header[5]
    hashed = int(size > 0)
    expected = (_MAGIC, 0, count, _HEADER, _HEADER + 8 * count, _table_size(count) * hashed, _HEADER + 16 * count)
    if header.tolist() != list(expected) or start > len(data) or not count:
        raise GettextError("another layout")
    strings = data[start:]
    if _ESCAPED in strings or not strings.endswith(_SEPARATOR):
        raise GettextError("another layout")
    table = _words(data[_HEADER : _HEADER + 16 * count])
    lengths, offsets = table[::2], table[1::2]
    if offsets.tolist() != list(accumulate((length + 1 for length in lengths[:-1]), initial=start)):
        raise GettextError("strings with gaps or in another order")
    if offsets[-1] + lengths[-1] + 1 != len(data):
        raise GettextError("bytes after the last string")
    texts = [data[at : at + length] for at, length in zip(offsets, lengths, strict=True)]
    interleaved = chain.from_iterable(zip(texts[:count], texts[count:], strict=True))
    body = _SEPARATOR.join(text.replace(_SEPARATOR, _ESCAPED) for text in interleaved)
    return count << 1 | hashed, body + _SEPARATOR


def strings_size(number: int, size: int) -> int:
    """How many of a catalog's ``size`` bytes are its strings; ``number`` as `unpack` gives it. Raises GettextError."""
    count = number >> 1
    if not 0 < 16 * count < size:
        raise GettextError("more strings than it has room for")
    length = size - _HEADER - 16 * count - (4 * _table_size(count) if number & 1 else 0)
    if length <= 0:
        raise GettextError("more strings than it has room for")
    return length


def pack(number: int, body: bytes) -> bytes:
    """The catalog again, of what `unpack` gives. Raises GettextError when ``body`` holds another number of strings."""
    count = number >> 1
    texts = body.split(_SEPARATOR)
    if len(texts) != 2 * count + 1 or texts.pop() or not count:
        raise GettextError("another number of strings")
    originals = texts[::2]
    ordered = [*originals, *texts[1::2]]
    size = _table_size(count) if number & 1 else 0
    start = _HEADER + 16 * count + 4 * size
    lengths = array("I", map(len, ordered))
    table = array("I", bytes(16 * count))
    table[::2] = lengths
    table[1::2] = array("I", accumulate((length + 1 for length in lengths[:-1]), initial=start))
    head = array("I", (_MAGIC, 0, count, _HEADER, _HEADER + 8 * count, size, _HEADER + 16 * count))
    buckets = _hash_table(originals, size)
    strings = _SEPARATOR.join(ordered).replace(_ESCAPED, _SEPARATOR) + _SEPARATOR
    return _bytes(head) + _bytes(table) + _bytes(buckets) + strings


def _hash_table(originals: list[bytes], size: int) -> array[int]:
    buckets = array("I", bytes(4 * size))
    if not size:
        return buckets
    probes = _MOST_PROBES * len(originals)
    for number, original in enumerate(originals, 1):
        value = _hashpjw(original)
        index = value % size
        if buckets[index]:
            step = 1 + value % (size - 2)
            while buckets[index]:
                index = (index + step) % size
                probes -= 1
                if not probes:
                    raise GettextError("hashes chosen to collide")
        buckets[index] = number
    return buckets


@lru_cache(maxsize=1 << 16)
def _hashpjw(original: bytes) -> int:
    """The hash of an original (up to the plural form) that msgfmt and libintl use. Languages share originals."""
    value = 0
    for byte in original.partition(_ESCAPED)[0]:
        value = (value << 4) + byte
        high = value & 0xF0000000
        if high:
            value ^= high >> 24 ^ high
    return value


@lru_cache(maxsize=1 << 12)
def _table_size(count: int) -> int:
    """A third more buckets than strings, and on to a prime, as msgfmt has it: which takes 1 for one, and 3 for none."""
    size = count * 4 // 3 | 1
    while not _is_prime(size):
        size += 2
    return max(size, 3)


def _is_prime(odd: int) -> bool:
    divisor = 3
    while divisor * divisor < odd:
        if odd % divisor == 0:
            return False
        divisor += 2
    return odd % divisor != 0


def _words(data: bytes) -> array[int]:
    """32-bit words, little-endian."""
    words = array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _bytes(words: array[int]) -> bytes:
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
