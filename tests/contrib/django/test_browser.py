"""The whole story in a real browser, on the example shop under gunicorn behind nginx; each page with axe-core."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contrib.django.web import PASSWORD, WebShop, web_shop
from tests.support.browser import Page, chromium
from tests.support.packages import make_package
from tests.support.require import give_up, require
from tests.support.site_publisher import SitePublisher
from updater.components import follow_component
from updater.schema.feed import Notes

pytestmark = pytest.mark.slow

AXE = "axe-core@4.10.3"
DASHBOARD = "/admin/updates/availableupdate/"
LOOKS = {"desktop": (1280, False), "phone": (390, False), "dark": (1280, True)}
PICTURES = os.environ.get("TAGSHIP_PICTURES")
"""A folder for pictures of the pages: those of docs/images were made so."""

EXPECTED_WHILE_AWAY = ("Failed to load resource",)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, installed outside of the repository."""
    folder = tmp_path_factory.mktemp("axe")
    npm = require("npm", "npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), AXE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        give_up(f"REQUIRED PROGRAM MISSING: axe-core (npm could not install it: {done.stderr.strip()[-200:]})")
    return script.read_text(encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[WebShop]:
    with web_shop(tmp_path) as made:
        yield made


def log_in(page: Page, shop: WebShop) -> None:
    page.look()
    page.open(f"{shop.url}/admin/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.picture(Path(PICTURES) / f"django-{name}.png")


def examine(page: Page, axe: str, url: str, name: str) -> None:
    """axe-core finds nothing in what is ours, in any look, and nothing is wider than the window."""
    for look, (width, dark) in LOOKS.items():
        page.look(width, dark=dark, mobile=look == "phone")
        page.open(url)
        before = len(page.complaints)
        page.run(axe)
        found = page.run(
            "axe.run(document.querySelector('.tagship'), {resultTypes: ['violations']}).then(result => "
            "JSON.stringify(result.violations.map(v => [v.id, v.nodes.map(n => n.html + ' ' + n.failureSummary)])))"
        )
        del page.complaints[before:]  # axe itself styles elements inline
        assert found == "[]", (name, look)
        if look == "phone":
            assert page.run("document.querySelector('.tagship').scrollWidth <= window.innerWidth"), name
        picture(page, f"{name}-{look}")
    page.look()


def press_update(page: Page, version: str) -> None:
    page.wait_for(f"Update to {version}")
    page.fill("[name=password]", PASSWORD)
    page.run("document.querySelectorAll('#tagship-consent').forEach(box => { box.checked = true; })")
    page.click("form[action$='/install/'] button")


def test_check_read_install_fail_and_go_back(shop: WebShop, axe: str, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as page:
        log_in(page, shop)
        page.open(shop.url + DASHBOARD)
        assert "shop 1.0.0" in page.text()

        # check
        page.click("form[action$='/check/'] button")
        page.wait_for("1.1.0 is available", 90)
        page.open(f"{shop.url}/admin/")
        assert "Updates (1)" in page.text()
        examine(page, axe, shop.url + DASHBOARD, "dashboard")
        examine(page, axe, f"{shop.url}{DASHBOARD}status/", "status")

        # install, and watch it through the restart
        page.open(shop.url + DASHBOARD)
        press_update(page, "1.1.0")
        assert "Update to 1.1.0" in page.text()
        page.wait(lambda: ": " in page.run("document.querySelector('[data-tagship-line]').textContent"), 60)
        picture(page, "progress")
        page.wait_for("1.1.0 is installed.", 120)
        assert shop.version() == "1.1.0"
        examine(page, axe, page.run("location.href"), "installed")
        page.open(shop.url + DASHBOARD)
        assert "shop 1.1.0" in page.text() and "Everything is up to date" in page.text()

        # a release that cannot serve comes back by itself, and says why
        shop.publish_broken()
        page.click("form[action$='/check/'] button")
        page.wait_for("1.2.0 is available", 90)
        press_update(page, "1.2.0")
        page.wait_for("everything is as it was before", 180)
        assert "health" in page.text()
        assert shop.version() == "1.1.0"
        examine(page, axe, page.run("location.href"), "failed")

        # back by hand
        page.open(shop.url + DASHBOARD)
        page.run("document.querySelector(\"a[href*='/rollback/']\").click()")
        page.wait_for("Show what would be lost")
        going_back = page.run("location.href")
        examine(page, axe, going_back, "rollback")
        page.open(going_back)
        page.click("form[action$='/plan/'] button")
        page.wait_for("Go on to the rollback", 90)
        examine(page, axe, page.run("location.href"), "losses")
        page.open(going_back)
        page.fill("[name=password]", PASSWORD)
        page.run("document.querySelector('#tagship-consent').checked = true")
        page.click("form:not([action]) .tagship-primary, form.tagship-form button")
        page.wait_for("Done.", 120)
        assert shop.version() == "1.0.0"

        # settings are saved and obeyed
        page.open(f"{shop.url}/admin/updates/updatesettings/1/change/")
        examine(page, axe, page.run("location.href"), "settings")
        page.open(f"{shop.url}/admin/updates/updatesettings/1/change/")
        page.run("document.querySelector('[name=frequency]').value = 'weekly'")
        page.click("[name=_save]")
        assert "The settings were saved" in page.text()
        page.open(shop.url + DASHBOARD)
        assert "Checks weekly." in page.text()

        complaints = [text for text in page.complaints if not text.startswith(EXPECTED_WHILE_AWAY)]
        assert complaints == []  # no violation of default-src 'self', no error of a script


def test_plugins_and_themes(shop: WebShop, axe: str, tmp_path: Path) -> None:
    theme = SitePublisher("shop", component="theme-dark")

    def publish(version: str, notes: str) -> None:
        built = make_package({"theme.css": f"/* {version} */".encode()}, version=version, component="theme-dark")
        theme.publish(built, directory="themes/dark", notes=Notes(notes))

    publish("1.0.0", "The first one.")
    with theme.serving() as server, chromium(tmp_path / "profile") as page:
        updater = shop.updater
        follow_component(updater, f"{server.url}stable.json", root=theme.root)
        updater.install(updater.plan(components=["theme-dark"]))
        publish("2.0.0", "### Changed\n\n- Black is **darker** now.")
        log_in(page, shop)
        page.open(shop.url + DASHBOARD)
        page.click("form[action$='/check/'] button")
        page.wait_for("theme-dark 2.0.0 is available", 90)
        page.open(f"{shop.url}/admin/")
        assert "Updates (2)" in page.text()
        examine(page, axe, shop.url + DASHBOARD, "components")

        page.open(shop.url + DASHBOARD)
        page.fill("[aria-labelledby=tagship-together] [name=password]", PASSWORD)
        page.run("document.querySelectorAll('#tagship-consent-together').forEach(box => { box.checked = true; })")
        page.click("form[action$='/install-all/'] button")
        page.wait_for("Done.", 120)
        assert shop.version() == "1.1.0"
        assert (shop.path / "themes/dark/theme.css").read_text() == "/* 2.0.0 */"
        page.open(shop.url + DASHBOARD)
        assert "Everything is up to date" in page.text() and "is available" not in page.text()
        complaints = [text for text in page.complaints if not text.startswith(EXPECTED_WHILE_AWAY)]
        assert complaints == []
