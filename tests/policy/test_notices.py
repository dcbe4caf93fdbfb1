"""Advisories and the end of support reach the sites that they concern, whatever is held back there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.sites import publish
from tests.policy.test_decisions import release
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.notices import AHEAD, notices_for
from updater.schema.feed import Advisory, EndOfLife, Feed

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
BAD = Advisory("CVE-2026-1", "high", ">=1.2,<1.4.3", "anybody can read orders", NOW, "Turn the API off.")
END = EndOfLife("<2", NOW + timedelta(days=30), "Move to 2.x.")


def feed(**fields: Any) -> Feed:
    listed = (release("2.0.0"), release("1.4.3"), release("1.4.2"))
    return Feed("shop", "stable", 1, NOW, listed, **fields)


def test_what_concerns_the_installed_version_is_told_the_worst_first():
    worse = replace(BAD, id="CVE-2026-2", severity="critical", affected="<1.5", workaround="")
    found = notices_for(feed(advisories=(BAD, worse), end_of_life=(END,)), "1.4.2", NOW)
    assert [notice.message for notice in found] == [
        "1.4.2 should not run: anybody can read orders (CVE-2026-2, critical).",
        "1.4.2 should not run: anybody can read orders (CVE-2026-1, high).",
        "1.4.2 gets no more fixes after 2026-04-03. Move to 2.x.",
    ]
    assert [notice.fixed_in for notice in found] == ["2.0.0", "1.4.3", "2.0.0"]
    assert found[1].workaround == "Turn the API off."


@pytest.mark.parametrize("installed", [None, "1.4.3", "1.1.0", "2.0.0"])
def test_nobody_else_is_told(installed):
    assert notices_for(feed(advisories=(BAD,)), installed, NOW) == ()


@pytest.mark.parametrize(
    ("before", "said"), [(AHEAD + timedelta(days=1), None), (AHEAD, "after"), (timedelta(), "since")]
)
def test_the_end_is_told_in_time_and_afterwards(before, said):
    found = notices_for(feed(end_of_life=(END,)), "1.4.2", END.at - before)
    assert [said in notice.message for notice in found] == ([] if said is None else [True])


def test_the_feed_keeps_them():
    one = feed(advisories=(BAD,), end_of_life=(END,))
    assert Feed.parse(one.to_bytes()) == one


@given(st.text(max_size=30))
def test_what_compares_nothing_is_no_reason_to_fail(affected):
    """It comes from the publisher, who may be years ahead."""
    assert isinstance(notices_for(feed(advisories=(replace(BAD, affected=affected),)), "1.4.2", NOW), tuple)


def test_a_held_site_hears_it(tmp_path, capsys):
    from updater.cli import main

    publisher = SitePublisher()
    publish(publisher, "1.0.0", "1.1.0")
    publisher.set_releases(
        list(publisher.feeds["stable"].releases),
        advisories=(replace(BAD, affected="<1.1"),),
        end_of_life=(replace(END, at=datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)),),
    )
    with publisher.serving() as server:
        site = set_up_site(f"{server.url}stable.json", tmp_path / "site", version="1.0.0").site
        config = site.config_path
        config.write_text(config.read_text() + '\n[policy]\npin = "==1.0.0"\n')
        assert Updater(site).check().release is None
        assert main(["check", "--site", str(site.path)]) == 0
        told = capsys.readouterr().out
        assert "1.0.0 should not run: anybody can read orders (CVE-2026-1, high). Fixed in 1.1.0." in told
        assert "Until then: Turn the API off." in told
        assert "gets no more fixes since" in told
