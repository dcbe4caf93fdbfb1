"""Files like native code, for deltas."""

from __future__ import annotations

import random
import struct

__all__ = ["library"]


def library(functions: int, moved: int, seed: int = 1) -> bytes:
    """Something like native code: functions of fixed bytes that call each other by relative address, ``moved`` bytes
    after where they would be."""
    numbers = random.Random(seed)
    bodies = [numbers.randbytes(numbers.randrange(20, 120)) for _ in range(functions)]
    calls = [[numbers.randrange(functions) for _ in range(3)] for _ in range(functions)]
    starts, position = [], moved
    for body in bodies:
        starts.append(position)
        position += len(body) + 15
    code = bytearray(numbers.randbytes(100) + bytes(moved))
    for index, body in enumerate(bodies):
        code += body
        for callee in calls[index]:
            target = starts[callee] + (moved if callee % 5 == 0 else 0)
            code += b"\xe8" + struct.pack("<i", target - len(code))
    return bytes(code)
