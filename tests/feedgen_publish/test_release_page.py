"""What a page for people shows of a release, and which release visitors are led to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from feedgen.publish.release_page import release_page
from tests.support.packages import make_package
from updater.schema import Feed, PublisherConfig

MOMENT = datetime(2026, 1, 20, tzinfo=UTC)


def stable(*versions: str) -> Feed:
    return Feed(
        "shop", "stable", 1, MOMENT, tuple(make_package({}, version=version).to_release() for version in versions)
    )


@pytest.mark.parametrize(
    ("component", "version", "channel", "published", "latest"),
    [
        ("core", "1.0.0", "stable", None, True),
        ("core", "1.1.0", "stable", ("1.0.0",), True),
        ("core", "1.0.1", "stable", ("1.1.0", "1.0.0"), False),
        ("core", "1.2.0b1", "beta", ("1.1.0",), False),
        ("theme-dark", "9.0.0", "stable", None, False),
    ],
)
def test_visitors_are_led_to_the_newest_stable_release_of_the_app(
    component: str, version: str, channel: str, published: tuple[str, ...] | None, latest: bool
) -> None:
    config = PublisherConfig(app="shop", component=component, base_url="https://acme.example/shop/")
    feed = None if published is None else stable(*published)
    page = release_page(config, f"v{version}", "0" * 40, version, channel, "notes", feed)
    assert page.latest == latest
    assert page.prerelease == (channel != "stable")
    assert page.title == f"shop{'' if component == 'core' else ' ' + component} {version}"
