"""The journal survives torn writes, and says so when it was damaged rather than torn."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.errors import StateError
from updater.install.journal import Journal, State

ID = "20260120-100000-000000"
STATES = (State.PREPARED, State.STOPPING, State.APPLYING, State.MIGRATING, State.UNDOING)


@pytest.fixture
def journal(tmp_path) -> Journal:
    journal = Journal(tmp_path / "journal")
    journal.begin(ID, code="abc")
    for state in STATES[1:]:
        journal.append(ID, state, reason="line\nbreak \u2028 é")
    return journal


def test_it_gives_back_what_was_written(journal):
    assert [record.state for record in journal.records()] == list(STATES)
    assert journal.records()[0].details == {"format": 1, "code": "abc"}
    assert journal.records()[-1].details == {"reason": "line\nbreak \u2028 é"}
    assert {record.id for record in journal.records()} == {ID}
    last = journal.last()
    assert last is not None
    assert last.state is State.UNDOING


def test_a_record_is_on_disk_before_append_returns(journal, monkeypatch):
    flushed: list[int] = []
    monkeypatch.setattr("updater.site.platform.flush", lambda handle: flushed.append(os.fstat(handle).st_size))
    journal.append(ID, State.UNDOING)
    assert flushed == [journal.path.stat().st_size]


def test_nothing_is_pending_without_a_journal_and_after_the_end(journal, tmp_path):
    assert Journal(tmp_path / "none").last() is None
    journal.end(ID)
    assert journal.last() is None
    assert len(journal.records()) == len(STATES) + 1


def test_a_tail_torn_at_any_byte_is_passed_over_and_written_over(journal):
    data = journal.path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    for length in range(ends[0], len(data)):
        journal.path.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        assert [record.state for record in journal.records()] == list(STATES[:whole])
        journal.append(ID, State.UNDONE)
        assert [record.state for record in journal.records()] == [*STATES[:whole], State.UNDONE]


def test_zeros_after_the_end_are_a_torn_tail(journal):
    """A power cut may leave a longer file whose new part was never written."""
    with journal.path.open("ab") as file:
        file.write(b"\0" * 100)
    assert [record.state for record in journal.records()] == list(STATES)


def test_no_first_record_is_damage(journal):
    first = journal.path.read_bytes().index(b"\n")
    for length in (1, first // 2, first):
        journal.path.write_bytes(journal.path.read_bytes()[:length])
        with pytest.raises(StateError, match="damaged"):
            journal.records()


@given(data=st.data())
def test_a_flipped_bit_is_never_believed(tmp_path_factory, data):
    journal = Journal(tmp_path_factory.mktemp("journal") / "journal")
    journal.begin(ID)
    for state in STATES[1:]:
        journal.append(ID, state)
    content = bytearray(journal.path.read_bytes())
    before_last = content[:-1].rindex(b"\n") + 1
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    journal.path.write_bytes(content)
    if position >= before_last - 1:  # the last line, or the end of the one before it: as if torn
        assert [record.state for record in journal.records()] in (list(STATES[:-1]), list(STATES[:-2]))
    else:
        with pytest.raises(StateError, match=r"damaged|knows|format"):
            journal.records()


@pytest.mark.parametrize("body", [b'{"id": "x", "state": "from the future"}', b'{"state": "undone"}', b"[]", b"{"])
def test_a_whole_record_that_is_not_understood_is_told(journal, body):
    import zlib

    with journal.path.open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(StateError) as caught:
        journal.records()
    assert "recover.py" in caught.value.hint


def test_another_format_is_refused_with_advice(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.begin(ID, format=2)
    with pytest.raises(StateError, match="format 2") as caught:
        journal.last()
    assert "recover.py" in caught.value.hint


def test_beginning_replaces_the_journal_of_an_ended_update(journal):
    journal.end(ID)
    journal.begin("20260121-100000-000000")
    assert [record.id for record in journal.records()] == ["20260121-100000-000000"]
