"""Damage to bytes: what a broken disk does, and what people who look for mistakes try first."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

__all__ = ["LARGEST", "STRINGS", "Mutator", "byte_level", "hostile_text", "lines", "mostly"]

LARGEST = 64 * 1024
"""Bytes an input has at most."""

Mutator = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
"""From an input, and the other inputs of the corpus, a new one. Decides by the given generator alone."""

STRINGS: tuple[str, ...] = (
    *("", " ", ".", "..", "/", "//", "\\", "a", "../x", "../../../../etc/passwd", "/etc/passwd", "C:\\x", "C:x", "a:b"),
    *(
        "a/../b",
        "./a",
        "a/",
        "a//b",
        "CON",
        "con.txt",
        "aux",
        "nul.",
        "lpt1",
        "a.",
        "a ",
        " a",
        "~",
        "-x",
        "--",
        "%s%n",
    ),
    *(".updater", ".UPDATER/journal", "updater.toml", "Update_Manifest.json", "update_manifest.json/x"),
    *(
        "\0",
        "a\0b",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\r",
        "\n",
        "\r\n",
        "\u2028",
        "\x9b31m",
        "\x7f",
        "\u202e",
    ),
    *(
        "\ufeff",
        "\ufffe",
        "\uffff",
        "\ud800",
        "\udfff",
        "\udcff",
        "\U0010ffff",
        "é",
        "e\u0301",
        "ß",
        "ﬁ",
        "İ",
        "ı",
        "K",
    ),
    *("\u0344", "a" * 255, "a" * 256, "é" * 128, "a/" * 600 + "a", "A" * 5000, "\u0301\u0327" * 2000, "\u1e9e"),
    *("1.0.0", "1.0.0b1", "01.0", "1!1.0", "1.0+x", "v1.0.0", "1", "9" * 18 + ".0", "9" * 5000, "1.0.post1.dev2"),
    *("stable", "beta", "Stable", "core", "shop", "true", "null", "NaN", "1.0", "2.0", "0.9", "1.00", "999999.999999"),
    *("2026-01-20T10:00:00Z", "2026-02-30T10:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("2026-01-20T10:00:00+00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-20T24:00:00Z"),
    *(
        "0644",
        "0755",
        "7777",
        "99999999",
        "0o644",
        "４４４４",
        "120777",
        "0" * 64,
        "a" * 64,
        "A" * 64,
        "g" * 64,
        "é" * 64,
    ),
    *(
        "https://a.example/x.zip",
        "http://a.example/",
        "http://127.0.0.1:1/x",
        "https://",
        "https://[::1",
        "https://a:b@c",
    ),
    *(
        "https://a.example:99999/",
        "file:///etc/passwd",
        "javascript:1",
        "//a.example/x",
        "https://ａ.example/",
        "?x",
        "#x",
    ),
    *("x%2e%2e/..%2f", "https://a.example/\u2100", "packages/x.zip", "https://user:geheim@a.example/stable.json"),
    *(
        ">=3.11",
        "==1.*,",
        "[",
        "((((",
        "a" * 100 + "!",
        "**",
        "**/**/**",
        "*" * 200,
        "a*" * 200 + "b",
        "?" * 300,
        "[a-z]",
    ),
    *(
        "migrate --noinput",
        "'unclosed",
        "rm -rf / #",
        "$(x)",
        "`x`",
        "a\\",
        "{file}",
        "in-place",
        "slots",
        "add",
        "delete",
    ),
    *(
        "prepared",
        "applying",
        "committed",
        "undone",
        "ended",
        "running",
        "20260120-100000-000000",
        "20260120-100000-00000a",
    ),
)
"""Every one of them broke something, somewhere, some day."""

_CHUNKS: tuple[bytes, ...] = (
    *(b"", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"),
    *(b"\n", b"\r", b"\r\n", b"\x1b[2J", b"\x1a", b"\x0c", b"\xe2\x80\xa8", b"{", b"}", b"[", b"]", b'"', b",", b":"),
    *(b"null", b"NaN", b"1e999", b"-1", b"0", b"-0.0", b"1e-999", b"9" * 30, b"9" * 5000, b"0x" + b"f" * 4000, b"true"),
    *(
        b"\\ud800",
        b"\\u0000",
        b"\\",
        b"\\u001b[31m",
        b"[" * 500,
        b'{"a":' * 200,
        b"[" * 3000,
        b"PK\x03\x04",
        b"PK\x05\x06",
    ),
    *(
        b"\xff\xff\xff\xff",
        b"\xfe\xff\xff\xff",
        b"\0\0\0\x80",
        b"\xff\x7f",
        b"=",
        b"'''",
        b'"""',
        b"#",
        b".",
        b"../",
        b"/",
    ),
)


def hostile_text(rng: random.Random, text: str = "") -> str:
    """A string that some rule forbids, out of nothing or around ``text``."""
    kind = rng.randrange(6)
    if kind < 3 or not text:
        return rng.choice(STRINGS)
    place = rng.randrange(len(text) + 1)
    if kind == 3:
        return text[:place] + rng.choice(STRINGS) + text[place:]
    if kind == 4:
        return text[:place]
    return text[:place] + chr(rng.choice((rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000))))


def byte_level(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to four of: flip, set, insert, delete, repeat, truncate, copy within, splice with another input."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        start = rng.randrange(len(made) + 1)
        stop = min(len(made), start + rng.choice((1, 1, 2, 4, 8, 40, 400)))
        match rng.randrange(9):
            case 0 if start < len(made):
                made[start] ^= 1 << rng.randrange(8)
            case 1 if start < len(made):
                made[start] = rng.choice((0, 0x7F, 0x80, 0xFF, 0x22, 0x0A, 0x5C, rng.randrange(256)))
            case 2:
                made[start:start] = rng.choice(_CHUNKS)
            case 3:
                del made[start:stop]
            case 4:
                made[start:start] = made[start:stop] * rng.choice((1, 2, 10, 100))
            case 5:
                del made[start:]
            case 6:
                made[start:stop] = rng.choice(_CHUNKS)
            case 7 if others:
                other = rng.choice(others)
                made[start:] = other[rng.randrange(len(other) + 1) :]
            case _:
                made[start:start] = rng.choice(STRINGS).encode("utf-8", "surrogatepass")
    return bytes(made[:LARGEST])


def lines(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Whole lines: doubled, dropped, swapped, taken from another input, or one of them a hostile string."""
    rows = data.split(b"\n")
    row = rng.randrange(len(rows))
    match rng.randrange(6):
        case 0:
            rows.insert(rng.randrange(len(rows) + 1), rows[row])
        case 1:
            del rows[row]
        case 2:
            other = rng.randrange(len(rows))
            rows[row], rows[other] = rows[other], rows[row]
        case 3 if others:
            rows.insert(row, rng.choice(rng.choice(others).split(b"\n")))
        case 4:
            rows[row] = hostile_text(rng, rows[row].decode("utf-8", "replace")).encode("utf-8", "surrogatepass")
        case _:
            rows[row] = rows[row] * rng.choice((2, 10, 300))
    return b"\n".join(rows)[:LARGEST]


def mostly(*weighted: tuple[int, Mutator]) -> Mutator:
    """One of several, by weight."""
    mutators = [mutator for weight, mutator in weighted for _ in range(weight)]
    return lambda rng, data, others: rng.choice(mutators)(rng, data, others)
