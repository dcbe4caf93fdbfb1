"""Another channel: verified before it is followed, and back again."""

from __future__ import annotations

import pytest

from tests.cli.sites import package, publish
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.cli.exits import Exit


@pytest.fixture
def site(tmp_path):
    publisher = SitePublisher()
    publish(publisher, "1.0.0")
    publisher.publish(package("1.0.0"), "beta")
    publisher.publish(package("1.1.0"), "beta")
    with publisher.serving() as server:
        yield set_up_site(f"{server.url}stable.json", tmp_path / "site").site


def test_there_and_back(run, site):
    assert run("channel", "--site", site.path).out == "This site follows stable.\n"
    before = site.config_path.read_text()
    done = run("channel", "beta", "--site", site.path)
    assert done.code == 0
    assert "whose newest release is 1.1.0; installed is 1.0.0" in done.out
    assert site.config_path.read_text() == before.replace("stable.json", "beta.json")
    assert run("update", "--yes", "--site", site.path).code == 0
    assert run("channel", "stable", "--site", site.path).code == 0
    assert (
        "1.1.0 is newer than all that the stable channel has, up to 1.0.0; it stays"
        in run("check", "--site", site.path).out
    )
    assert Updater(site).check().release is None
    assert run("rollback", "--yes", "--site", site.path).code == 0
    assert site.state().version == "1.0.0"


def test_a_channel_that_is_not_published_is_not_followed(run, site):
    before = site.config_path.read_text()
    assert run("channel", "alpha", "--site", site.path).code == Exit.VERIFICATION
    assert site.config_path.read_text() == before
    assert run("channel", "nightly", "--site", site.path).code == Exit.USAGE


def test_what_is_decided_above_is_not_changed_below(run, site, monkeypatch):
    monkeypatch.setenv("UPDATER_FEED_URL", site.config().feed_url)
    done = run("channel", "beta", "--site", site.path)
    assert done.code == Exit.USAGE
    assert "the variable UPDATER_FEED_URL" in done.err
