"""A site with a plugin and a theme beside its core: three feeds, one update, one way back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.components import follow_component, forget_component, set_enabled
from updater.errors import BlockedError, RolledBackError, StateError, UpToDateError
from updater.schema.release import Requires
from updater.site import Layout, Site, read_history

LAYOUTS: list[Layout] = ["in-place", "slots"]
"""Where an app reads which plugins it has: what lies in their folders."""


class Shop:
    """A core, the plugin ``invoices`` and the theme ``dark``, each of its own publisher, and a site of them."""

    def __init__(self, home: Path, layout: Layout) -> None:
        self.layout = layout
        self.core = SitePublisher("shop")
        self.plugin = SitePublisher("shop", component="invoices")
        self.theme = SitePublisher("shop", component="dark")
        self.release(self.core, "1.0.0")
        self.release(self.plugin, "1.0.0", core=">=1,<2")
        self.release(self.theme, "1.0.0")
        self.site = Site(home / "site")
        self.site.path.mkdir()
        self.configure()
        self.transport = _Three(self.core, self.plugin, self.theme)
        url = self.transport.url(self.core)
        set_up_site(url, self.site.path, root=self.core.root, layout=layout, transport=self.transport)

    def configure(self, *more: str) -> None:
        health = f'[health]\ncheck = ["{sys.executable}", "check.py"]\n'
        self.site.config_path.write_text(
            f'[feed]\nurl = "https://core.example/stable.json"\n{health}' + "\n".join(more)
        )

    def release(self, publisher: SitePublisher, version: str, *, fails: bool = False, **needs: str) -> None:
        name = publisher.component
        files = {f"{name}.txt": f"{name} {version}\n".encode(), f"only-{version}.txt": b"x" * 3000}
        if name == "core":
            files["check.py"] = b"import pathlib, sys\nsys.exit(any(pathlib.Path('.').glob('*/*/fails')))\n"
        if fails:
            files["fails"] = b""
        directory = {"core": None, "invoices": "plugins/invoices", "dark": "themes/dark"}[name]
        built = make_package(files, version=version, component=name)
        publisher.publish(built, requires=Requires(components=needs), directory=directory)

    @property
    def updater(self) -> Updater:
        return Updater(self.site, transport=self.transport)

    def follow(self, publisher: SitePublisher) -> None:
        follow_component(self.updater, self.transport.url(publisher), root=publisher.root)

    def add(self, publisher: SitePublisher) -> None:
        self.follow(publisher)
        self.update(publisher.component)

    def update(self, *names: str, **options: Any) -> Any:
        return self.updater.install(self.updater.plan(components=names, **options))

    def whole(self) -> None:
        self.add(self.plugin)
        self.add(self.theme)

    def versions(self) -> dict[str, str]:
        """What lies on the disk, not what the updater says."""
        tree = self.site.tree(self.layout)
        places = {"core": "core.txt", "invoices": "plugins/invoices/invoices.txt", "dark": "themes/dark/dark.txt"}
        found = {name: tree / place for name, place in places.items()}
        return {name: path.read_text().split()[1] for name, path in found.items() if path.exists()}

    def reasons(self, **options: Any) -> str:
        with pytest.raises(BlockedError) as caught:
            self.updater.plan(**options)
        return " ".join(caught.value.reasons)


class _Three:
    """Each publisher on a host of its own."""

    def __init__(self, *publishers: SitePublisher) -> None:
        self._hosts = {f"https://{publisher.component}.example/": publisher for publisher in publishers}

    def url(self, publisher: SitePublisher) -> str:
        return f"https://{publisher.component}.example/stable.json"

    def open(self, url: str, **options: Any) -> Any:
        host, publisher = next((host, one) for host, one in self._hosts.items() if url.startswith(host))
        base = publisher.url.rpartition("/")[0] + "/"
        return publisher.open(base + url.removeprefix(host), **options)


@pytest.fixture(params=LAYOUTS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    return Shop(tmp_path, request.param)


def test_components_come_into_folders_of_their_own(shop: Shop):
    shop.whole()
    assert shop.versions() == {"core": "1.0.0", "invoices": "1.0.0", "dark": "1.0.0"}
    assert shop.updater.verify().ok
    assert shop.site.config().components["dark"].directory == "themes/dark"


def test_all_are_updated_together_and_go_back_together(shop: Shop):
    shop.whole()
    for publisher in (shop.core, shop.plugin, shop.theme):
        shop.release(publisher, "1.1.0")
    checked = shop.updater.check()
    assert [one.component for one in checked.waiting] == ["core", "dark", "invoices"]
    before = len(shop.updater.restore_points())
    outcome = shop.update()
    assert shop.versions() == dict.fromkeys(("core", "invoices", "dark"), "1.1.0")
    assert outcome.what == "1.1.0, dark 1.1.0 and invoices 1.1.0"
    assert len(shop.updater.restore_points()) == before + 1
    assert not (shop.site.tree(shop.layout) / "themes/dark/only-1.0.0.txt").exists()
    assert not list(shop.site.directory.rglob("downloads"))
    assert shop.updater.check().waiting == ()
    shop.updater.rollback()
    assert shop.versions() == dict.fromkeys(("core", "invoices", "dark"), "1.0.0")
    assert shop.updater.verify().ok
    last = read_history(shop.site.history_path)[-1]
    assert {"component": "dark", "from": "1.1.0", "to": "1.0.0"} in last["components"]


def test_one_that_fails_takes_all_back(shop: Shop):
    shop.whole()
    shop.release(shop.core, "1.1.0")
    shop.release(shop.theme, "1.1.0", fails=True)
    with pytest.raises(RolledBackError, match=r"1.1.0 and dark 1.1.0"):
        shop.update()
    assert shop.versions() == dict.fromkeys(("core", "invoices", "dark"), "1.0.0")
    assert shop.updater.verify().ok
    assert set(json.loads(shop.site.failed_path.read_text())["releases"]) == {"1.1.0", "dark 1.1.0"}
    assert "failed on this site once" in shop.reasons(automatic=True)


def test_one_alone(shop: Shop):
    shop.whole()
    for publisher in (shop.core, shop.plugin, shop.theme):
        shop.release(publisher, "1.1.0")
    edited = shop.site.tree(shop.layout) / "core.txt"
    edited.write_text("core 1.0.0 as its owner likes it\n")
    shop.update("dark")
    assert shop.versions() == {"core": "1.0.0", "invoices": "1.0.0", "dark": "1.1.0"}
    assert "likes" in (shop.site.tree(shop.layout) / "core.txt").read_text()
    with pytest.raises(UpToDateError):
        shop.updater.plan(components=["dark"])
    assert shop.update("dark", to="1.0.0", downgrade=True).what == "dark 1.0.0"


def test_a_core_that_a_plugin_does_not_fit_waits_for_it(shop: Shop):
    shop.whole()
    shop.release(shop.core, "1.5.0")
    shop.release(shop.core, "2.0.0")
    assert shop.updater.check().to_version == "1.5.0"
    plan = shop.updater.plan()
    assert [part.to_version for part in plan.parts] == ["1.5.0"]
    assert "invoices 1.0.0 needs core >=1,<2, and this site would have 2.0.0" in " ".join(plan.reasons)
    shop.release(shop.plugin, "2.0.0", core=">=2")
    assert [part.to_version for part in shop.updater.plan().parts] == ["2.0.0", "2.0.0"]
    assert "invoices 2.0.0 needs core >=2" in shop.reasons(components=["invoices"])
    shop.update()
    assert shop.versions() == {"core": "2.0.0", "invoices": "2.0.0", "dark": "1.0.0"}


def test_disabled_enabled_removed(shop: Shop):
    shop.whole()
    mine = shop.site.tree(shop.layout) / "themes/dark/my-colours.css"
    mine.write_text("mine")
    set_enabled(shop.site, "dark", enabled=False)
    shop.updater.install(shop.updater.plan_removal("dark"))
    assert shop.versions() == {"core": "1.0.0", "invoices": "1.0.0"}
    assert (shop.site.tree(shop.layout) / "themes/dark/my-colours.css").read_text() == "mine"
    shop.release(shop.theme, "1.1.0")
    assert [one.component for one in shop.updater.check().waiting] == []
    set_enabled(shop.site, "dark", enabled=True)
    shop.update("dark")
    assert shop.versions()["dark"] == "1.1.0"
    shop.updater.install(shop.updater.plan_removal("dark"))
    forget_component(shop.site, "dark")
    assert set(shop.site.config().components) == {"invoices"}
    assert not shop.site.component("dark").exists()
    with pytest.raises(BlockedError, match="no installed component"):
        shop.updater.plan_removal("dark")


def test_one_that_another_needs_is_not_taken_away(shop: Shop):
    shop.whole()
    shop.release(shop.theme, "1.1.0", invoices=">=1")
    shop.update("dark")
    with pytest.raises(BlockedError) as caught:
        shop.updater.plan_removal("invoices")
    assert caught.value.reasons == ("dark needs it.",)


def test_a_need_that_nobody_meets(shop: Shop):
    shop.release(shop.theme, "1.1.0", invoices=">=1")
    shop.add(shop.theme)
    assert shop.versions()["dark"] == "1.0.0"
    assert "dark 1.1.0 needs invoices >=1, which is not installed" in shop.reasons(components=["dark"])


def test_a_feed_that_does_not_answer_holds_nobody_else_back(shop: Shop):
    shop.whole()
    shop.release(shop.core, "1.1.0")
    for path in list(shop.theme.files):
        del shop.theme.files[path]
    (shop.site.component("dark") / "trust").rename(shop.site.component("dark") / "lost")
    checked = shop.updater.check()
    assert [one.component for one in checked.waiting] == ["core"]
    plan = shop.updater.plan()
    assert any(text.startswith("dark stays as it is") for text in plan.warnings)
    shop.update()
    assert shop.versions() == {"core": "1.1.0", "invoices": "1.0.0", "dark": "1.0.0"}


def test_a_core_that_brings_files_of_a_component_is_refused(shop: Shop):
    shop.whole()
    built = make_package({"core.txt": b"core 1.1.0\n", "themes/dark/dark.txt": b"mine"}, version="1.1.0")
    shop.core.publish(built)
    with pytest.raises(BlockedError) as caught:
        shop.updater.plan()
    assert "lies in the folder of dark" in " ".join(caught.value.reasons)


def test_a_feed_of_another_component_is_refused(shop: Shop):
    shop.whole()
    text = shop.site.config_path.read_text().replace("dark.example", "invoices.example")
    shop.site.config_path.write_text(text)
    told = next(one for one in shop.updater.check().components if one.component == "dark")
    assert told.reasons
    assert not told.update_available


def test_a_stop_is_not_jumped_because_it_does_not_fit(shop: Shop):
    shop.whole()
    shop.release(shop.plugin, "1.0.1", core=">=1,!=1.5.0")
    shop.update("invoices")
    shop.release(shop.core, "1.5.0")
    shop.core.change("1.5.0", stop=True)
    shop.release(shop.core, "2.0.0")
    assert "invoices 1.0.1 needs core >=1,!=1.5.0" in shop.reasons()
    assert not shop.updater.check().update_available


def test_what_follows_a_stop_is_told_as_far_as_it_goes_with_the_rest(shop: Shop):
    shop.whole()
    for version in ("1.5.0", "1.6.0", "2.0.0"):
        shop.release(shop.core, version)
        shop.core.change(version, stop=True)
    assert shop.updater.plan().further == ("1.6.0",)  # invoices is for versions below 2


def test_the_core_that_stays_is_asked_too(shop: Shop):
    shop.whole()
    shop.release(shop.core, "1.1.0", dark="<2")
    shop.update()
    shop.release(shop.theme, "2.0.0")
    assert "core 1.1.0 needs dark <2, and this site would have 2.0.0" in shop.reasons(components=["dark"])


def test_a_disabled_one_is_not_installed_by_naming_it(shop: Shop):
    shop.whole()
    set_enabled(shop.site, "dark", enabled=False)
    shop.release(shop.theme, "1.1.0")
    with pytest.raises(BlockedError, match="dark is disabled"):
        shop.updater.plan(components=["dark"])


def test_one_whose_folder_was_changed_in_the_settings_stays_where_it_is(shop: Shop):
    shop.whole()
    shop.site.config_path.write_text(shop.site.config_path.read_text().replace("themes/dark", "skins/dark"))
    shop.release(shop.theme, "1.1.0")
    plan = shop.updater.plan()
    assert "dark lies in themes/dark/ and stays there" in " ".join(plan.warnings)
    shop.updater.install(plan)
    assert shop.versions()["dark"] == "1.1.0"


def test_a_rehearsal_of_a_component(shop: Shop):
    shop.whole()
    shop.release(shop.theme, "1.1.0")
    shop.release(shop.plugin, "1.1.0", fails=True)
    assert shop.updater.rehearse(shop.updater.plan(components=["dark"])).ok
    assert not shop.updater.rehearse(shop.updater.plan(components=["invoices"])).ok
    assert shop.versions() == dict.fromkeys(("core", "invoices", "dark"), "1.0.0")


def test_only_where_there_are_components_is_the_record_of_them_read(shop: Shop):
    """A check with nothing new stays cheap: the list of thousands of files is not read for it."""
    shop.site.manifest_path.write_bytes(b"damaged")
    assert shop.updater.check().component == "core"
    shop.site.components.mkdir()
    with pytest.raises(StateError):
        shop.updater.check()
