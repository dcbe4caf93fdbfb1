"""Where an archive's bytes come from, and how its refusal is worded."""

from __future__ import annotations

from typing import BinaryIO, NoReturn, Protocol

from updater.errors import StateError, UnsafeArchiveError, shortened

__all__ = ["ByteSource", "FileSource", "Findings", "TailSource"]

_SHOWN = 20
_LONGEST = 500
_HINT = "Do not install it. Download it again; if it is refused again, tell the publisher."


class Findings:
    """What is wrong with one archive, collected so that a refusal names every finding and not only the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: list[str] = []
        self._more = 0

    def add(self, where: str, what: str) -> None:
        """Note that something at ``where`` (a member, a byte) is not as the format has it."""
        if len(self._found) < _SHOWN:
            self._found.append(shortened(f"{where}: {what}" if where else what, _LONGEST))
        else:
            self._more += 1

    def fail(self, where: str, what: str) -> NoReturn:
        """Note it and refuse at once: what follows cannot be judged."""
        self.add(where, what)
        self.finish()
        raise AssertionError("unreachable")

    def finish(self) -> None:
        """Raise UnsafeArchiveError when anything was found."""
        if not self._found:
            return
        lines = [*self._found, f"… and {self._more} more"] if self._more else self._found
        raise UnsafeArchiveError(f"{self.name} is refused:\n  " + "\n  ".join(lines), hint=_HINT)


class ByteSource(Protocol):
    """Random access to an archive of ``size`` bytes, of which those from ``first`` on are at hand."""

    first: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``. Raises UnsafeArchiveError when they do not exist."""
        ...


class FileSource:
    """An open file. It is sought, so nothing else may use the handle meanwhile."""

    def __init__(self, file: BinaryIO, findings: Findings) -> None:
        self.first = 0
        self._file = file
        self._findings = findings
        try:
            self.size = file.seek(0, 2)
        except OSError as error:
            raise StateError(f"cannot read {findings.name}: {error}") from error

    def read(self, offset: int, length: int) -> bytes:
        """See `ByteSource`. Raises StateError when the disk fails."""
        try:
            self._file.seek(offset)
            data = self._file.read(length)
        except OSError as error:
            raise StateError(f"cannot read {self._findings.name}: {error}") from error
        if len(data) != length:
            self._findings.fail(f"byte {offset}", f"{length} bytes should follow, there are {len(data)}")
        return data


class TailSource:
    """The last bytes of an archive, without what comes before them."""

    def __init__(self, data: bytes, offset: int, findings: Findings) -> None:
        self._data = data
        self.first = offset
        self._findings = findings
        self.size = offset + len(data)

    def read(self, offset: int, length: int) -> bytes:
        """See `ByteSource`."""
        start = offset - self.first
        if start < 0 or start + length > len(self._data):
            self._findings.fail(f"byte {offset}", f"{length} bytes should be in the tail and are not")
        return self._data[start : start + length]
