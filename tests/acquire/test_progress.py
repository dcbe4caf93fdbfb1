"""The figures of a download: bytes, rate, time left; for a person, and for ``status.json``."""

from __future__ import annotations

from tests.acquire.shop import BASE, Shop, noise
from updater.acquire.progress import TransferProgress
from updater.cli.progress import Meter
from updater.events import Event, Phase


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock, events = Clock(), list[Event]()
    progress = TransferProgress(events.append, clock=clock)
    progress.start("Going.", 100_000, 20_000)
    assert (events[0].kind, events[0].done, events[0].message) == ("start", 20_000, "Going.")
    progress.add(10)
    assert events[-1].rate is None and events[-1].left is None, "too early to say"
    for _ in range(20):
        clock.now += 1
        progress.add(1000)
    assert events[-1].rate == 1000
    assert events[-1].left == (100_000 - 40_010) / 1000
    for _ in range(20):
        clock.now += 1
        progress.add(100)
    assert 90 < (events[-1].rate or 0) < 130, "what was fast before is forgotten"
    progress.reach(100_000)
    progress.done()
    assert (events[-1].kind, events[-1].done, events[-1].total) == ("done", 100_000, 100_000)


def test_the_total_grows_when_a_part_was_of_no_use() -> None:
    events: list[Event] = []
    progress = TransferProgress(events.append, clock=Clock())
    progress.start("", 10)
    progress.add(15)
    assert (events[-1].done, events[-1].total) == (15, 15)


def test_a_meter_believes_who_measured() -> None:
    meter = Meter(Clock())
    event = Event(Phase.DOWNLOAD, "progress", "", 50, 100, "bytes", 2_000_000, 3)
    meter.move(event)
    assert "2.0 MB/s" in meter.text(event)


def test_an_update_by_ranges_tells_of_every_byte(tmp_path) -> None:
    shop = Shop(tmp_path).set_up()
    shop.publish("1.1.0", {**BASE, "shop/part1.py": noise(1)})
    shop.update()
    moved = [event for event in shop.events if event.phase is Phase.DOWNLOAD and event.unit == "bytes"]
    assert moved[-1].kind == "done" and moved[-1].done == moved[-1].total
    assert max(event.done for event in moved if event.kind == "progress") == moved[-1].total
