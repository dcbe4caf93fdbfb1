"""Damage that keeps a document's form: JSON, TOML, and the lines of the journal with their checksums."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from typing import Any

from tests.torture.fuzz.mutations import LARGEST, byte_level, hostile_text, lines, mostly

__all__ = ["journal", "json_document", "json_lines", "mutate_json", "toml_document"]

_NUMBERS = (
    *("0", "-1", "1", "2", "0.5", "-0.0", "1e5", "1e400", "-1e400", "NaN", "Infinity", "true", "false", "null"),
    *("4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "9" * 400, "9" * 5000, "1" + "0" * 30),
    *("65535", "65536", "2147483648", "268435457", "-9223372036854775809", "0.1e-400"),
)


class Raw(str):
    """A token that is written as it is."""

    __slots__ = ()


class Pairs(list[Any]):
    """An object as a list of (key, value), so that a key may stand in it twice."""

    __slots__ = ()


def json_document(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change one to three values of a JSON document; what is not JSON is damaged byte by byte."""
    try:
        value = json.loads(data, object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        return byte_level(rng, data, others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = mutate_json(rng, value, others)
    made = write(value)
    return byte_level(rng, made, others) if rng.randrange(12) == 0 else made[:LARGEST]


def mutate_json(rng: random.Random, value: Any, others: Sequence[bytes]) -> Any:
    """One change somewhere in a value (objects are `Pairs`)."""
    places = list(_places(value))
    if not places:
        return _hostile(rng, value, others)
    parent, key = rng.choice(places)
    old = parent[key][1] if isinstance(parent, Pairs) else parent[key]
    name = parent[key][0] if isinstance(parent, Pairs) else None
    match rng.randrange(10):
        case 0:
            del parent[key]
        case 1:
            parent.insert(rng.randrange(len(parent) + 1), parent[key])
        case 2 if name is not None:
            parent[key] = (hostile_text(rng, name), old)
        case 3 if name is not None:
            parent.append((name, _hostile(rng, old, others)))
        case 4:
            other = rng.randrange(len(parent))
            parent[key], parent[other] = parent[other], parent[key]
        case 5 if len(parent) < 2000:
            parent.extend([parent[key]] * rng.choice((1, 2, 50)))
        case _:
            made = _hostile(rng, old, others)
            parent[key] = made if name is None else (name, made)
    return value


def _places(value: Any) -> list[tuple[Any, int]]:
    found: list[tuple[Any, int]] = []
    stack = [value]
    while stack and len(found) < 3000:
        node = stack.pop()
        if isinstance(node, list):
            found.extend((node, index) for index in range(len(node)))
            stack.extend(child[1] if isinstance(node, Pairs) else child for child in node)
    return found


def _hostile(rng: random.Random, old: Any, others: Sequence[bytes]) -> Any:
    match rng.randrange(9):
        case 0 | 1 | 2:
            return hostile_text(rng, old if isinstance(old, str) else "")
        case 3 | 4:
            return Raw(rng.choice(_NUMBERS))
        case 5:
            return rng.choice(([], Pairs(), [old], Pairs([("x", old)]), [[]], [Pairs()], [old] * 3))
        case 6:
            return Raw(rng.choice(("[" * 70 + "]" * 70, "[" * 900 + "]" * 900, '{"a":' * 70 + "1" + "}" * 70)))
        case 7 if isinstance(old, int) and not isinstance(old, bool):
            return old + rng.choice((-1, 1, -old, old, 1 << 32))
        case _:
            return _borrowed(rng, others)


def _borrowed(rng: random.Random, others: Sequence[bytes]) -> Any:
    """A value out of another input."""
    try:
        places = _places(json.loads(rng.choice(others), object_pairs_hook=Pairs))
    except (ValueError, RecursionError, IndexError):
        return None
    if not places:
        return None
    parent, key = rng.choice(places)
    return parent[key][1] if isinstance(parent, Pairs) else parent[key]


def write(value: Any) -> bytes:
    """JSON of a tree with `Pairs` and `Raw` in it."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _write(value: Any, parts: list[str], depth: int = 0) -> None:
    if isinstance(value, Raw):
        parts.append(value)
    elif isinstance(value, list) and depth < 400:
        named = isinstance(value, Pairs)
        parts.append("{" if named else "[")
        for index, child in enumerate(value):
            parts.append("," if index else "")
            if named:
                parts.append(json.encoder.encode_basestring_ascii(child[0]) + ":")
            _write(child[1] if named else child, parts, depth + 1)
        parts.append("}" if named else "]")
    elif isinstance(value, list):
        parts.append("[]")
    elif isinstance(value, str):
        parts.append(json.encoder.encode_basestring_ascii(value))
    else:
        try:
            parts.append(json.dumps(value))
        except ValueError:  # a number of thousands of digits
            parts.append("1e400")


def json_lines(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One line of a file of JSON lines."""
    rows = data.split(b"\n")
    row = rng.randrange(len(rows))
    rows[row] = json_document(rng, rows[row], [line for other in others[:5] for line in other.split(b"\n")])
    return lines(rng, b"\n".join(rows), others) if rng.randrange(4) == 0 else b"\n".join(rows)[:LARGEST]


def journal(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A record of the journal changed under a checksum that is right again, so that its meaning is judged."""
    rows = data.split(b"\n")
    row = rng.randrange(len(rows))
    body = rows[row].partition(b" ")[2]
    changed = json_document(rng, body, [line.partition(b" ")[2] for other in others[:5] for line in other.split(b"\n")])
    if rng.randrange(3) == 0:
        changed = byte_level(rng, changed, others).replace(b"\n", b"")
    rows[row] = b"%08x %s" % (zlib.crc32(changed), changed)
    made = b"\n".join(rows)
    return lines(rng, made, others) if rng.randrange(5) == 0 else made[:LARGEST]


_TOML_VALUES = (
    *(
        '""',
        "''",
        '"x"',
        '"\\u001b[31m"',
        '"\\u0000"',
        '"../../x"',
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "true",
        "[]",
        "{}",
    ),
    *("[1]", '["a"]', '[""]', "[[]]", "{a=1}", "{a.b.c=1}", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "0b1"),
    *("0x" + "f" * 4000, "9" * 5000, "0x" + "f" * 20, "1_000", '"""\n[' + " " * 3000 + '\n"""', "[" * 100 + "]" * 100),
    *(
        '"https://a.example/stable.json"',
        '"sqlite"',
        '"postgresql"',
        '"command"',
        '["x", "{file}"]',
        '"HUP"',
        '"' + "a" * 3000 + '"',
    ),
)
_TOML_KEYS = (
    *("[feed]", "[policy]", "[backup]", "[database]", "[commands]", "[restart]", "[health]", "[download]", "[[feed]]"),
    *(
        "[x]",
        "[feed.url]",
        "[commands.env]",
        "url",
        "app",
        "edited",
        "max_backups",
        "kind",
        "path",
        "url_env",
        "backup",
    ),
    *("restore", "timeout", "runner", "allow", "env", "stop", "command", "touch", "signal", "pidfile", "version_key"),
    *(
        "interval",
        "deadline",
        "min_rate",
        "schema",
        '"\\u001b[31m"',
        '"a b"',
        "''",
        "a.b.c",
        "env.A",
        'env."\\u0000"',
        "urll",
    ),
    *(".".join(["a"] * 50), ".".join(["a"] * 2000), "[" + ".".join(["a"] * 2000) + "]", "é", '"é"', "k" * 3000),
)


def _toml(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    rows = data.split(b"\n")
    row = rng.randrange(len(rows))
    key, equals, _ = rows[row].partition(b"=")
    fresh = rng.choice(_TOML_KEYS)
    value = rng.choice(_TOML_VALUES)
    match rng.randrange(4):
        case 0 | 1 if equals:
            rows[row] = key + b"= " + value.encode()
        case 2:
            rows.insert(row, (fresh if fresh.startswith("[") else f"{fresh} = {value}").encode())
        case _:
            rows[row] = fresh.encode() + (b"" if fresh.startswith("[") else b" = " + value.encode())
    return b"\n".join(rows)[:LARGEST]


toml_document = mostly((6, _toml), (2, lines), (2, byte_level))
