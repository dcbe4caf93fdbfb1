"""Reading numbers, texts and positions out of a delta, which may lie (docs/formats.md section 12)."""

from __future__ import annotations

from updater.errors import UnsafeArchiveError, shortened

__all__ = ["Cursor", "refuse"]

_HINT = "Do not use it. Download the package instead; if it is refused again, tell the publisher."
_MOST_BYTES = 9  # 63 bits: more than any size or count


def refuse(name: str, what: str) -> UnsafeArchiveError:
    """The error for a delta that no correct publisher makes. ``name`` is what people know the delta by."""
    return UnsafeArchiveError(f"{name} is refused: {shortened(what, 500)}", hint=_HINT)


class Cursor:
    """Reads ``data`` from its beginning. Every method raises UnsafeArchiveError when the data ends or breaks a rule."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self.position

    def fail(self, what: str) -> UnsafeArchiveError:
        """The error to raise for what was just read."""
        return refuse(self._name, f"{what} (byte {self.position} of the head)")

    def unsigned(self, limit: int) -> int:
        """A varint of at most ``limit``, in its shortest form."""
        number = shift = 0
        for byte in self._data[self.position : self.position + _MOST_BYTES]:
            self.position += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                if not byte and shift:
                    raise self.fail("a number is not in its shortest form")
                if number > limit:
                    raise self.fail(f"a number is {number}, more than {limit}")
                return number
            shift += 7
        raise self.fail("a number does not end")

    def signed(self, limit: int) -> int:
        """A zigzag varint whose magnitude is at most ``limit``."""
        number = self.unsigned(limit * 2 + 1)
        return number >> 1 if number & 1 == 0 else ~(number >> 1)

    def index(self, size: int) -> int:
        """A position in a list of ``size``."""
        if not size:
            raise self.fail("something is chosen out of nothing")
        return self.unsigned(size - 1)

    def count(self, limit: int) -> int:
        """The number of things that follow, each of one byte or more: never more than there are bytes left."""
        return self.unsigned(min(limit, self.left))

    def bytes(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        if length > self.left:
            raise self.fail(f"{length} bytes should follow, there are {self.left}")
        self.position += length
        return self._data[self.position - length : self.position]

    def text(self, limit: int) -> str:
        """A varint of at most ``limit``, and that many bytes of UTF-8."""
        data = self.bytes(self.unsigned(limit))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail("a text is not UTF-8") from None

    def gaps(self, count: int, size: int) -> list[int]:
        """``count`` rising positions below ``size``, each written as its distance to the one after the last."""
        found, position = [], 0
        for _ in range(count):
            position += self.unsigned(size)
            if position >= size:
                raise self.fail(f"a position is {position}, of {size}")
            found.append(position)
            position += 1
        return found

    def finish(self) -> None:
        """Nothing may follow."""
        if self.left:
            raise self.fail(f"{self.left} bytes too many")
