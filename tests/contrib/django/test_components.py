"""Plugins and themes in the admin: what waits, alone and together, and what a person or the settings decide."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.utils.html import escape

from tests.contrib.django.site import TestSite
from tests.contrib.django.test_commands import run
from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater.components import follow_component
from updater.contrib.django.badge import waiting, waiting_updates
from updater.contrib.django.checked import perform_check, read_checked
from updater.contrib.django.models import AvailableUpdate, UpdateLog, UpdateNotification, UpdateSettings
from updater.contrib.django.runs.request import Request
from updater.errors import SchemaError
from updater.schema.feed import Notes

DASHBOARD = "/admin/updates/availableupdate/"


def release(theme: SitePublisher, version: str, **more: object) -> None:
    built = make_package({"theme.css": f"/* {version} */".encode()}, version=version, component="dark")
    theme.publish(built, directory="themes/dark", **more)


@pytest.fixture
def theme(site: TestSite) -> Iterator[SitePublisher]:
    """The site has the theme ``dark`` at 1.0.0, of which 2.0.0 waits, as 1.1.0 of the app does."""
    publisher = SitePublisher("shop", component="dark")
    release(publisher, "1.0.0")
    with publisher.serving() as server:
        follow_component(site.updater, f"{server.url}stable.json", root=publisher.root)
        site.updater.install(site.updater.plan(components=["dark"]))
        release(publisher, "2.0.0", notes=Notes("- **Darker** than black."))
        perform_check(site.updater, site.folder, datetime.now(UTC))
        yield publisher


@pytest.fixture
def asked(site, theme, requests) -> list[Request]:
    """What was asked for, in order; nothing is started."""
    return requests


def version_of(site: TestSite) -> dict[str, str]:
    parts = site.site.parts()
    assert parts is not None
    return parts.versions()


def test_each_has_its_own_card_with_notes_and_plan(site, theme, admin):
    page = admin.get(DASHBOARD).content.decode()
    assert "1.1.0 is available" in page and "dark 2.0.0 is available" in page
    assert "<strong>Darker</strong> than black." in page
    assert "Together with it: dark 2.0.0." in page, "the app takes along what waits beside it"
    assert '<a href="#tagship-update-dark">2.0.0</a>' in page and 'id="tagship-update-dark"' in page
    assert read_checked(site.folder)["dark"].plan["files"]["replaced"] == 2, "the style sheet and the version file"
    assert [row.component for row in AvailableUpdate.objects.all()] == ["core", "dark"]
    assert admin.get("/own/").content == b"2 2"
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_one_alone_is_asked_for_by_name(asked, admin):
    admin.post(f"{DASHBOARD}install/", {"component": "dark", "version": "2.0.0"})
    admin.post(f"{DASHBOARD}rehearse/", {"component": "dark", "version": "2.0.0"})
    admin.post(f"{DASHBOARD}install/", {"component": "core", "version": "1.1.0"})
    found = [(request.action, request.target, request.components) for request in asked]
    assert found == [("update", "2.0.0", ("dark",)), ("rehearse", "2.0.0", ("dark",)), ("update", "1.1.0", ())]
    assert LogEntry.objects.first().change_message == "Asked to install 1.1.0."
    assert LogEntry.objects.last().change_message == "Asked to install dark 2.0.0."


@pytest.mark.parametrize(("component", "version"), [("dark", "1.1.0"), ("core", "2.0.0"), ("light", "2.0.0")])
def test_a_version_of_another_component_is_not_what_waits(asked, admin, component, version):
    answer = admin.post(f"{DASHBOARD}install/", {"component": component, "version": version}, follow=True)
    assert "has changed" in answer.content.decode()
    assert asked == []


def test_all_at_once(asked, admin):
    page = admin.get(DASHBOARD).content.decode()
    assert "Install all of them" in page
    admin.post(f"{DASHBOARD}install-all/", {"update": ["1.1.0", "dark 2.0.0"]})
    assert [(request.target, request.components) for request in asked] == [(None, ("core", "dark"))]
    admin.post(f"{DASHBOARD}install-all/", {"update": ["1.1.0", "dark 1.5.0"]})
    admin.post(f"{DASHBOARD}install-all/")
    assert len(asked) == 1


def test_skipping_one_leaves_the_other(asked, admin, site):
    admin.post(f"{DASHBOARD}skip/", {"component": "dark", "version": "2.0.0"})
    assert site.folder.skipped() == {"dark": {"2.0.0": site.folder.skipped()["dark"]["2.0.0"]}}
    assert [checked.what for checked in waiting()] == ["1.1.0"]
    page = admin.get(DASHBOARD).content.decode()
    assert "Skipped by ada." in page and "Install all of them" not in page and "Together with it" not in page
    admin.post(f"{DASHBOARD}install/", {"component": "core", "version": "1.1.0"})
    assert asked[-1].components == ("core",), "what is skipped is not taken along either"
    admin.post(f"{DASHBOARD}unskip/", {"component": "dark", "version": "2.0.0"})
    assert waiting_updates() == 2


def test_a_run_updates_one_and_the_log_says_which(site, theme, db):
    UpdateSettings.objects.update_or_create(pk=1, defaults={"auto_install": True})
    code, output = run("check_updates", "--force", "--auto-install", "--component", "dark")
    assert (code, version_of(site)) == (0, {"core": "1.0.0", "dark": "2.0.0"}), output
    assert "dark 2.0.0 is available" in output and "1.1.0" not in output
    call_command("update_status", "--sync", verbosity=0)
    log = UpdateLog.objects.order_by("-pk")[0]
    assert (str(log), log.actor) == ("update dark 1.0.0 → 2.0.0", "check_updates")
    assert str(UpdateNotification.objects.get(kind="installed", version="2.0.0")) == "update installed dark 2.0.0"
    assert [checked.what for checked in waiting()] == ["1.1.0"], "the table and the badge know what is installed now"
    assert "dark         2.0.0" in run("update_status")[1]


def test_what_the_settings_allow_is_judged_for_each(site, theme, db):
    UpdateSettings.objects.update_or_create(pk=1, defaults={"auto_install_critical": True})
    theme.change("2.0.0", critical=True)
    code, output = run("check_updates", "--force", "--auto-install")
    assert (code, version_of(site)) == (0, {"core": "1.0.0", "dark": "2.0.0"}), output
    assert "Not installed: The settings do not let non-critical" in output and "Installing dark 2.0.0." in output
    UpdateSettings.objects.update(auto_install=True)
    release(theme, "2.1.0")
    code, output = run("check_updates", "--force", "--auto-install")
    assert (code, version_of(site)) == (0, {"core": "1.1.0", "dark": "2.1.0"}), output


def test_a_feed_that_cannot_be_followed_is_told_at_its_component(site, theme, admin):
    shutil.rmtree(site.site.component("dark"))
    perform_check(site.updater, site.folder, datetime.now(UTC))
    page = admin.get(DASHBOARD).content.decode()
    assert "1.1.0 is available" in page and "dark 2.0.0" not in page
    (reason,) = read_checked(site.folder)["dark"].answer["reasons"]
    assert escape(reason) in page


def test_the_web_user_sees_them_without_reading_the_site(site, theme, admin, monkeypatch):
    call_command("update_status", "--sync", verbosity=0)
    monkeypatch.setattr("updater.contrib.django.mirror.can_read", lambda site: False)
    page = admin.get(DASHBOARD).content.decode()
    assert "Plugins and themes" in page and "dark 2.0.0 is available" in page


def test_a_request_names_components_and_nothing_else():
    request = Request.new("update", "2.0.0", actor="ada", now=datetime.now(UTC), components=["dark"])
    assert Request.parse(request.to_bytes()) == request
    document = json.loads(request.to_bytes())
    for wrong in (["--yes"], ["../x"], "dark", [1]):
        with pytest.raises(SchemaError):
            Request.parse(json.dumps({**document, "components": wrong}).encode())
    with pytest.raises(ValueError, match="must"):
        Request.new("update", None, actor="ada", now=datetime.now(UTC), components=["--to"])


def test_a_site_without_any_shows_nothing_of_them(site, admin):
    perform_check(site.updater, site.folder, datetime.now(UTC))
    page = admin.get(DASHBOARD).content.decode()
    assert "Plugins and themes" not in page and "Install all" not in page
