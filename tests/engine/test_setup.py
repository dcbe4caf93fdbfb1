"""The first install: what is left when it fails early, what can be repeated, and whom a site trusts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.errors import (
    BlockedError,
    ConfigError,
    DowngradeError,
    FeedError,
    RolledBackError,
    SignatureError,
    TargetMismatchError,
    UpdaterError,
)
from updater.trust import fingerprint

DEFAULTS = b'[policy]\nedited = "keep"\n'
FILES = {"app.py": b"print(1)\n", "lib/a.py": b"A = 1\n"}


@pytest.fixture
def publisher() -> SitePublisher:
    publisher = SitePublisher()
    publisher.publish(make_package({**FILES, "updater.defaults.toml": DEFAULTS}, version="1.0.0"))
    return publisher


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_settings_begin_with_the_feed_and_what_the_maintainer_recommends(
    publisher: SitePublisher, tmp_path: Path
) -> None:
    made = set_up_site(publisher.url, tmp_path / "site", root=publisher.root, transport=publisher)
    assert made.outcome.to_version == "1.0.0"
    assert not made.trusted_on_first_use
    config = made.site.config()
    assert (config.feed_url, config.app, config.edited) == (publisher.url, "shop", "keep")
    assert made.site.directory.stat().st_mode & 0o777 == 0o700


def test_settings_that_are_there_are_the_owners(publisher: SitePublisher, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    text = f'[feed]\nurl = "{publisher.url}"\n[policy]\nedited = "stop"\n'
    (site / "updater.toml").write_text(text)
    set_up_site(publisher.url, site, root=publisher.root, transport=publisher)
    assert (site / "updater.toml").read_text() == text


@pytest.mark.parametrize("existing", [True, False])
def test_nothing_is_left_when_the_package_is_not_what_was_signed(
    publisher: SitePublisher, tmp_path: Path, existing: bool
) -> None:
    site = tmp_path / "site"
    if existing:
        site.mkdir()
        (site / "mine.txt").write_text("mine")
    (path,) = [name for name in publisher.files if name.endswith(".zip")]
    publisher.files[path] = publisher.files[path][:-1] + b"?"
    with pytest.raises(TargetMismatchError):
        set_up_site(publisher.url, site, root=publisher.root, transport=publisher)
    assert tree(site) == ({"mine.txt": b"mine"} if existing else {})
    assert site.exists() == existing


def test_an_update_whose_package_is_not_what_was_signed_leaves_the_site_alone(
    publisher: SitePublisher, tmp_path: Path
) -> None:
    site = set_up_site(publisher.url, tmp_path / "site", root=publisher.root, transport=publisher).site
    publisher.publish(make_package({"app.py": b"print(2)\n"}, version="1.1.0"))
    (path,) = [name for name in publisher.files if name.endswith("1.1.0.zip")]
    before = {name: data for name, data in tree(site.path).items() if not name.startswith(".updater/")}
    updater = Updater(site, transport=publisher)
    plan = updater.plan()
    publisher.files[path] = bytes(len(publisher.files[path]))
    with pytest.raises(TargetMismatchError):
        updater.install(plan)
    assert before == {name: data for name, data in tree(site.path).items() if not name.startswith(".updater/")}
    assert site.state().version == "1.0.0"
    assert updater.verify().ok


def test_a_failed_first_install_keeps_the_settings_and_can_be_repeated(
    publisher: SitePublisher, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    broken = f'[feed]\nurl = "{publisher.url}"\n[health]\ncommand = ["false"]\ntimeout = 0.2\ninterval = 0.05\n'
    (site / "updater.toml").write_text(broken)
    with pytest.raises(RolledBackError):
        set_up_site(publisher.url, site, root=publisher.root, transport=publisher)
    assert {name for name in tree(site) if not name.startswith(".updater/")} == {"updater.toml"}
    (site / "updater.toml").write_text(broken.replace('"false"', '"true"'))
    made = set_up_site(publisher.url, site, root=publisher.root, transport=publisher)
    assert made.outcome.to_version == "1.0.0"
    with pytest.raises(ConfigError, match="is a site already"):
        set_up_site(publisher.url, site, root=publisher.root, transport=publisher)


@pytest.mark.parametrize("kill_at", range(1, 12))
def test_a_killed_first_install_can_be_repeated(publisher: SitePublisher, tmp_path: Path, kill_at: int) -> None:
    site = tmp_path / "site"
    child = os.fork()
    if child == 0:
        real, calls = os.replace, [0]

        def replace(source: str, target: str) -> None:
            calls[0] += 1
            if calls[0] == kill_at:
                os._exit(9)
            real(source, target)

        os.replace = replace  # type: ignore[assignment]
        try:
            set_up_site(publisher.url, site, root=publisher.root, transport=publisher)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    made = set_up_site(publisher.url, site, root=publisher.root, transport=publisher)
    assert made.outcome.to_version == "1.0.0"
    assert Updater(made.site, transport=publisher).verify().ok


def test_trust_on_first_use_asks_and_can_be_refused(publisher: SitePublisher, tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse(shown: str) -> bool:
        asked.append(shown)
        return False

    with pytest.raises(BlockedError):
        set_up_site(publisher.url, tmp_path / "site", transport=publisher, confirm_root=refuse)
    assert asked == [fingerprint(publisher.root)]
    assert not (tmp_path / "site").exists()


def test_the_wrong_fingerprint_and_the_wrong_root_are_refused(publisher: SitePublisher, tmp_path: Path) -> None:
    with pytest.raises(SignatureError):
        set_up_site(publisher.url, tmp_path / "site", root_sha256="0" * 64, transport=publisher)
    with pytest.raises(SignatureError):
        set_up_site(publisher.url, tmp_path / "site", root=SitePublisher().root, transport=publisher)
    assert not (tmp_path / "site").exists()


def test_feeds_of_something_else_and_older_feeds_are_refused(publisher: SitePublisher, tmp_path: Path) -> None:
    site = set_up_site(publisher.url, tmp_path / "site", root=publisher.root, transport=publisher).site
    updater = Updater(site, transport=publisher)
    releases = list(publisher.feeds["stable"].releases)
    for fields in ({"app": "other"}, {"component": "theme"}, {"channel": "beta"}):
        publisher.set_releases(releases, **fields)
        with pytest.raises(FeedError):
            updater.check()
    publisher.set_releases(releases, app="shop", component="core", channel="stable", sequence=50)
    assert not updater.check().update_available
    publisher.set_releases(releases, sequence=49)
    with pytest.raises(DowngradeError):
        updater.check()


def test_a_package_of_something_else_is_refused_before_anything_changes(
    publisher: SitePublisher, tmp_path: Path
) -> None:
    site = set_up_site(publisher.url, tmp_path / "site", root=publisher.root, transport=publisher).site
    publisher.publish(make_package(FILES, version="1.1.0", app="other"))
    with pytest.raises(UpdaterError, match="says it is other"):
        Updater(site, transport=publisher).plan()


def test_a_component_is_installed_and_updated_like_an_app(tmp_path: Path) -> None:
    publisher = SitePublisher(component="theme-dark")
    for version in ("1.0.0", "1.1.0"):
        publisher.publish(make_package({"a.css": version.encode()}, component="theme-dark", version=version))
    site = set_up_site(publisher.url, tmp_path / "site", root=publisher.root, version="1.0.0", transport=publisher).site
    assert site.state().component == "theme-dark"
    updater = Updater(site, transport=publisher)
    assert updater.install(updater.plan()).to_version == "1.1.0"
