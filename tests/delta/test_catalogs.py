"""The reversible form of gettext catalogs: real ones come back bit by bit, anything else is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import django
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.catalogs import make_catalog
from updater.delta.gettext import GettextError, pack, strings_size, unpack

REAL = sorted((Path(django.__file__).parent / "contrib" / "auth" / "locale").glob("*/LC_MESSAGES/django.mo"))


def test_real_catalogs_come_back() -> None:
    assert len(REAL) > 50
    for path in REAL:
        data = path.read_bytes()
        number, strings = unpack(data)
        assert number & 1
        assert pack(number, strings) == data
        assert strings_size(number, len(data)) == len(strings)


@given(st.dictionaries(st.binary(max_size=30), st.binary(max_size=30), min_size=1, max_size=40), st.booleans())
def test_made_up_catalogs_come_back_or_are_refused(texts: dict[bytes, bytes], hashed: bool) -> None:
    data = make_catalog(texts, hashed=hashed)
    if b"\1" in b"".join([*texts, *texts.values()]):
        with pytest.raises(GettextError):
            unpack(data)
    else:
        number, strings = unpack(data)
        assert (number >> 1, number & 1) == (len(texts), hashed)
        if b"\0" not in b"".join([*texts, *texts.values()]):
            assert pack(number, strings) == data


@given(st.data())
def test_a_damaged_catalog_is_refused_or_comes_back_as_something_else(data: st.DataObject) -> None:
    good = bytearray(make_catalog({b"one": b"eins", b"two": b"zwei", b"three": b"drei"}))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        number, strings = unpack(bytes(good))
        assert len(pack(number, strings)) == len(good)
    except GettextError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xde\x12\x04\x95",
        struct.pack("<7I", 0x950412DE, 0, 2**31, 28, 28, 0, 28),
        make_catalog({b"a": b"b"})[:-1],
    ],
)
def test_what_is_no_catalog_is_refused(data: bytes) -> None:
    with pytest.raises(GettextError):
        unpack(data)


def test_hashes_that_collide_on_purpose_do_not_take_forever() -> None:
    """hashpjw of 7 bytes is easily made the same: a byte up by one, the next down by 16."""
    texts = [bytes([97 + a, 97 + 16 * (3 - a), *b"%04d" % 0]) for a in range(3)]
    words = [b"".join(texts[(number >> shift) % 3] for shift in range(0, 20, 2)) for number in range(20_000)]
    body = b"".join(word + b"\0x\0" for word in words)
    try:
        pack(2 * len(words) + 1, body)
    except GettextError as error:
        assert "collide" in str(error)
