"""Which old files a file without a predecessor at its own path is most like.

First by content: lines (or statements, in minified code) are hashed, and a part of the hashes is kept, the same part in
every file. Then by name, with versions and content hashes masked: ``main.3f9a2c.js``.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from updater.schema.manifest import ManifestFile

__all__ = ["Similar", "features"]

_BREAKS = bytes.maketrans(b";{}", b"\n\n\n")
_SHORTEST = 16
_SAMPLED = 0x7
_FEW = 64
_COMMON = 24
_MOST_REFERENCES = 4
_WORTHWHILE = 0.08
_VARYING = re.compile(r"[0-9a-f]{7,}|[0-9]+")

Read = Callable[[ManifestFile], bytes]


def features(data: bytes) -> frozenset[int]:
    """Hashes of distinct lines and statements in ``data``: of all when they are few, else of some, chosen by value."""
    pieces = set(data.translate(_BREAKS).split(b"\n"))
    hashes = {zlib.crc32(piece) for piece in pieces if len(piece) >= _SHORTEST}
    return frozenset(hashes if len(hashes) <= _FEW else (value for value in hashes if not value & _SAMPLED))


@dataclass
class Similar:
    """An index of old files to look up new ones in."""

    _files: list[ManifestFile] = field(default_factory=list)
    _by_feature: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _by_name: dict[str, int] = field(default_factory=dict)

    @classmethod
    def index(cls, candidates: Iterable[ManifestFile], read: Read) -> Similar:
        """Look at each candidate once."""
        found = cls()
        for number, file in enumerate(candidates):
            found._files.append(file)
            found._by_name.setdefault(_masked(file.path), number)
            for feature in features(read(file)):
                found._by_feature[feature].append(number)
        return found

    def of(self, file: ManifestFile, data: bytes, most: int) -> list[ManifestFile]:
        """The old files to build ``file`` from, the best first, at most ``most`` bytes in all."""
        wanted = {
            feature: self._by_feature[feature]
            for feature in features(data)
            if 0 < len(self._by_feature.get(feature, ())) <= _COMMON
        }
        chosen: list[ManifestFile] = []
        least = max(2, len(wanted) * _WORTHWHILE)
        while wanted and len(chosen) < _MOST_REFERENCES:
            number, hits = _best(wanted, self._files)
            if hits < least:
                break
            if self._files[number].size <= most:
                chosen.append(self._files[number])
                most -= self._files[number].size
            wanted = {feature: where for feature, where in wanted.items() if number not in where}
        if not chosen and (named := self._by_name.get(_masked(file.path))) is not None:
            chosen = [self._files[named]] if self._files[named].size <= most else []
        return chosen


def _best(wanted: Mapping[int, list[int]], files: list[ManifestFile]) -> tuple[int, int]:
    """The file that holds most of the features; the smaller of two, then the first."""
    counts = Counter(number for where in wanted.values() for number in where)
    return min(counts.items(), key=lambda item: (-item[1], files[item[0]].size, item[0]))


def _masked(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return _VARYING.sub("#", folder) + "/" + _VARYING.sub("#", name)
