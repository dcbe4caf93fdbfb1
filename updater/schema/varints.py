"""Whole numbers in few bytes (docs/formats.md sections 11 and 12)."""

from __future__ import annotations

__all__ = ["signed", "unsigned"]


def unsigned(number: int) -> bytes:
    """``number`` (not negative) as an LEB128 varint: 7 bits a byte, low ones first; the high bit: more follow."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def signed(number: int) -> bytes:
    """``number`` as the varint of 0, -1, 1, -2, 2, … (zigzag): small ones of either sign stay short."""
    return unsigned(number << 1 if number >= 0 else ~number << 1 | 1)
