"""The limit of the rate, with a clock that only sleeping moves."""

from __future__ import annotations

from tests.support.site_publisher import SitePublisher
from updater.transport.throttle import RateLimit, ThrottledTransport


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def limit(rate: float) -> tuple[RateLimit, Clock]:
    clock = Clock()
    return RateLimit(rate, clock=clock, sleep=clock.sleep), clock


def test_as_many_bytes_take_as_long_as_they_should() -> None:
    rate, clock = limit(1000)
    for _ in range(20):
        rate.take(500)
    assert abs(clock.now - 110) < 0.01


def test_a_slow_server_is_not_made_slower() -> None:
    rate, clock = limit(1000)
    for _ in range(20):
        clock.now += 2
        rate.take(500)
    assert sum(clock.slept) < 20 * 0.26


def test_a_pause_does_not_save_up_a_flood() -> None:
    rate, clock = limit(1000)
    rate.take(100)
    clock.now += 3600
    rate.take(10_000)
    assert clock.slept[-1] > 9.7


def test_every_body_counts() -> None:
    publisher = SitePublisher()
    publisher.files["a"] = bytes(100_000)
    rate, clock = limit(50_000)
    transport = ThrottledTransport(publisher, rate)
    for start in (0, 50_000):
        with transport.open(f"{publisher.repository.base_url}a", max_bytes=10**6, start=start) as response:
            assert sum(map(len, response.chunks)) == 100_000 - start
    assert abs(clock.now - 103) < 0.01
