"""``updater component``, and what the other verbs say of plugins and themes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.sites import Result
from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater.cli import main
from updater.cli.exits import Exit
from updater.errors import ProbationError
from updater.schema.release import Requires


class Shop:
    def __init__(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.path, self._capfd = home / "site", capfd
        self.core = SitePublisher()
        self.dark = SitePublisher(component="dark", repository=None)
        self.core.publish(make_package({"core.txt": b"1"}))
        self.publish_dark("1.0.0")

    def publish_dark(self, version: str, **needs: str) -> None:
        built = make_package({"dark.css": version.encode()}, component="dark", version=version)
        self.dark.publish(built, directory="themes/dark", requires=Requires(components=needs))

    def run(self, *words: str) -> Result:
        code = main(["--site", str(self.path), *words])
        out, err = self._capfd.readouterr()
        return Result(Exit(code), out, err)


@pytest.fixture
def shop(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Shop]:
    shop = Shop(tmp_path, capfd)
    with shop.core.serving() as core, shop.dark.serving() as dark:
        shop.feed = f"{dark.url}stable.json"
        assert main(["install", f"{core.url}stable.json", str(shop.path), "--yes"]) == 0
        capfd.readouterr()
        yield shop


def test_from_adding_to_removing(shop: Shop):
    added = shop.run("component", "add", shop.feed, "--yes")
    assert added.code == Exit.DONE, added.err
    assert "Nobody vouches for the root of trust" in added.err
    assert "Update dark from nothing to 1.0.0" in added.out
    assert "dark 1.0.0 is installed" in added.out
    assert (shop.path / "themes/dark/dark.css").read_text() == "1.0.0"
    assert shop.run("component").out.splitlines() == ["core  1.0.0", "dark  1.0.0  themes/dark/"]
    assert shop.run("component", "--json", "list").out == shop.run("component", "list", "--json").out != ""
    assert "component    dark 1.0.0" in shop.run("status").out
    assert json.loads(shop.run("status", "--json").out)["components"] == {"dark": "1.0.0"}

    shop.publish_dark("1.1.0")
    checked = shop.run("check", "--exit-code")
    assert checked.code == Exit.UPDATE_AVAILABLE
    assert "dark 1.1.0 is available; installed: 1.0.0." in checked.out
    assert "1.0.0 is the newest of the stable channel." in checked.out
    (told,) = json.loads(shop.run("check", "--json").out)["components"]
    assert (told["component"], told["latest_version"], told["update_available"]) == ("dark", "1.1.0", True)
    assert shop.run("update", "--component", "dark", "--yes").code == Exit.DONE
    told = shop.run("history").out
    assert "check     dark 1.1.0 available" in told
    assert "update    dark 1.0.0 -> 1.1.0  done" in told

    assert shop.run("component", "disable", "dark", "--yes").code == Exit.DONE
    assert not (shop.path / "themes/dark/dark.css").exists()
    assert shop.run("component").out.splitlines()[1] == "dark  disabled  themes/dark/"
    assert shop.run("update", "--yes").code == Exit.DONE  # nothing to do: nobody wants it back
    enabled = shop.run("component", "enable", "dark", "--yes")
    assert enabled.code == Exit.DONE, enabled.err
    assert (shop.path / "themes/dark/dark.css").read_text() == "1.1.0"
    assert "already" in shop.run("component", "enable", "dark", "--yes").out

    removed = shop.run("component", "remove", "dark", "--yes")
    assert removed.code == Exit.DONE, removed.err
    assert "dark was taken away" in removed.out
    assert "dark" not in (shop.path / "updater.toml").read_text()
    assert not (shop.path / "themes").exists()
    assert "(before the removal of dark)" in shop.run("backup", "list").out
    back = shop.run("rollback", "--yes")
    assert "dark        from nothing to 1.1.0" in back.out
    assert "Done: dark 1.1.0 is installed." in back.out
    assert (shop.path / "themes/dark/dark.css").read_text() == "1.1.0"
    assert "does not name its feed" in shop.run("component").out


def test_what_cannot_be_installed_is_not_followed_either(shop: Shop):
    shop.publish_dark("1.0.0", core=">=2")
    before = (shop.path / "updater.toml").read_text()
    refused = shop.run("component", "add", shop.feed, "--yes")
    assert refused.code == Exit.BLOCKED
    assert "dark 1.0.0 needs core >=2, and this site would have 1.0.0" in refused.err
    assert (shop.path / "updater.toml").read_text().strip() == before.strip()
    assert not list((shop.path / ".updater/components").iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("component", "enable", "light", "--yes"), "no component 'light'"),
        (("component", "remove", "light", "--yes"), "no installed component"),
        (("update", "--component", "light", "--yes"), "no component 'light'"),
    ],
)
def test_one_that_is_not_there(shop: Shop, words: tuple[str, ...], said: str):
    refused = shop.run(*words)
    assert refused.code == Exit.BLOCKED
    assert said in refused.err


def test_the_feed_of_an_app_is_no_component(shop: Shop):
    feed = shop.feed
    with shop.core.serving() as again:
        shop.feed = f"{again.url}stable.json"
        refused = shop.run("component", "add", shop.feed, "--yes")
    assert refused.code == Exit.BLOCKED
    assert "is the feed of an app" in refused.err
    assert shop.run("component", "add", feed, "--yes").code == Exit.DONE
    assert "follows dark already" in shop.run("component", "add", feed, "--yes").err


def test_without_consent_nothing_is_changed_not_even_the_settings(shop: Shop):
    assert shop.run("component", "add", shop.feed, "--yes").code == Exit.DONE
    before = (shop.path / "updater.toml").read_text()
    for words in (("disable", "dark"), ("remove", "dark")):
        refused = shop.run("component", *words)
        assert refused.code == Exit.USAGE
        assert "no terminal" in refused.err
        assert "enabled = false" not in (shop.path / "updater.toml").read_text()
    assert (shop.path / "themes/dark/dark.css").exists()
    assert before.strip() in (shop.path / "updater.toml").read_text().replace("enabled = true\n", "")


def test_one_that_fails_after_it_was_committed_is_still_followed(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """It stays on the site: its feed must be known."""

    def fail(self: object) -> None:
        raise ProbationError("it fails with traffic on")

    monkeypatch.setattr("updater.client.Probation.run", fail)
    assert shop.run("component", "add", shop.feed, "--yes").code != Exit.DONE
    assert shop.run("component", "--json").out.count("themes/dark") == 1
    assert "[components.dark]" in (shop.path / "updater.toml").read_text()


def test_a_mirror_of_the_app_updates_the_app_alone(shop: Shop, tmp_path: Path):
    assert shop.run("component", "add", shop.feed, "--yes").code == Exit.DONE
    shop.core.publish(make_package({"core.txt": b"2"}, version="1.1.0"))
    shop.publish_dark("1.1.0")
    feed = json.loads(shop.run("status", "--json").out)["feed_url"]
    assert shop.run("mirror", feed, str(tmp_path / "mirror"), "--yes").code == Exit.DONE
    done = shop.run("update", "--from", str(tmp_path / "mirror"), "--yes")
    assert done.code == Exit.DONE, done.err
    assert "dark stays as it is" in done.out
    assert (shop.path / "core.txt").read_text() == "2"
    assert (shop.path / "themes/dark/dark.css").read_text() == "1.0.0"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--yes", "--directory", "../outside"), Exit.USAGE, "'..' segment"),
        (("--yes", "--directory", ".updater/x"), Exit.USAGE, "belongs to the site itself"),
        (("--yes", "--directory", "core.txt"), Exit.BLOCKED, "lies in the folder of dark"),
        (("--yes", "--root-sha256", "0" * 64), Exit.VERIFICATION, "fingerprint"),
        ((), Exit.USAGE, "Nobody vouches"),
    ],
)
def test_what_cannot_be_followed_leaves_nothing(shop: Shop, words: tuple[str, ...], code: Exit, said: str):
    before = (shop.path / "updater.toml").read_text()
    refused = shop.run("component", "add", shop.feed, *words)
    assert refused.code == code, refused.err
    assert said in refused.err
    assert (shop.path / "updater.toml").read_text().strip() == before.strip()
    assert not shop.path.joinpath(".updater/components").exists() or not any(
        shop.path.joinpath(".updater/components").iterdir()
    )
