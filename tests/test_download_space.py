"""There is no room: said before a byte of the package is asked for."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.sites import package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.errors import DiskSpaceError


def test_a_package_that_does_not_fit_is_not_fetched(tmp_path, monkeypatch):
    publisher = SitePublisher()
    publisher.publish(package("1.0.0"))
    set_up_site(publisher.url, tmp_path / "site", root=publisher.root, transport=publisher)
    publisher.publish(package("1.1.0"))
    updater = Updater(tmp_path / "site", transport=publisher)
    plan = updater.plan()
    asked = len(publisher.repository.requests)
    real = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: real._replace(free=2**20))
        with pytest.raises(DiskSpaceError, match="needed for the download, the new files") as caught:
            updater.install(plan)
    assert "backup delete" in caught.value.hint
    assert len(publisher.repository.requests) == asked
    assert updater.site.state().version == "1.0.0"
    assert updater.install(plan).to_version == "1.1.0"
