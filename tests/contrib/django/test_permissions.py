"""Who may do what: every kind of user, every page and button, every method."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import get_resolver

from tests.contrib.django.site import TestSite
from updater.contrib.django.models import UpdateNotification, UpdateSettings
from updater.contrib.django.pages.progress import token_for

BASE = "/admin/updates"
RUN = "20260101-000000-0123456789ab"
ALLOWED, REFUSED, LOGIN, NO_METHOD = "allowed", "refused", "login", "no such method"

VIEW, INSTALL, ROLLBACK, SETTINGS = "view_availableupdate", "install_update", "rollback_update", "change_settings"
EVERYBODY = (VIEW, INSTALL, ROLLBACK, SETTINGS)
PAGES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # name: address, who may GET, who may POST ((): nobody, there is no such method)
    "dashboard": ("availableupdate/", EVERYBODY, ()),
    "status": ("availableupdate/status/", EVERYBODY, ()),
    "run": (f"availableupdate/run/{RUN}/", EVERYBODY, ()),
    "check": ("availableupdate/check/", (), EVERYBODY),
    "install": ("availableupdate/install/", (), (INSTALL,)),
    "install_all": ("availableupdate/install-all/", (), (INSTALL,)),
    "rehearse": ("availableupdate/rehearse/", (), (INSTALL,)),
    "skip": ("availableupdate/skip/", (), (INSTALL,)),
    "unskip": ("availableupdate/unskip/", (), (INSTALL,)),
    "cancel": (f"availableupdate/run/{RUN}/cancel/", (), (INSTALL,)),
    "recover": ("availableupdate/recover/", (), (INSTALL, ROLLBACK)),
    "clear": ("availableupdate/clear/", (), (INSTALL, ROLLBACK)),
    "rollback": ("availableupdate/rollback/some-point/", (ROLLBACK,), (ROLLBACK,)),
    "plan_rollback": ("availableupdate/rollback/some-point/plan/", (), (ROLLBACK,)),
    "dismiss": ("availableupdate/notices/1/dismiss/", (), EVERYBODY),
    "log": ("updatelog/", EVERYBODY, EVERYBODY),
    "checks": ("updatecheck/", EVERYBODY, EVERYBODY),
    "notices": ("updatenotification/", EVERYBODY, EVERYBODY),
    "settings": ("updatesettings/1/change/", (SETTINGS,), (SETTINGS,)),
    "test_mail": ("updatesettings/test-mail/", (), (SETTINGS,)),
}
DJANGOS_OWN = ("log", "checks", "notices", "settings")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
RIGHTS = ((), (VIEW,), (INSTALL,), (ROLLBACK,), (SETTINGS,))
NEVER = (
    "updatelog/add/",
    "updatecheck/add/",
    "updatenotification/add/",
    "updatesettings/add/",
    "updatesettings/1/delete/",
)


@pytest.fixture
def _quiet(shared_site: TestSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started; what is asked for is a page's answer, not an update."""
    monkeypatch.setattr("updater.contrib.django.runners._runner", lambda settings: lambda request, settings: None)


def outcome(client: Client, method: str, address: str) -> str:
    answer = client.generic(method, f"{BASE}/{address}")
    if answer.status_code == 302 and "/login/" in answer["Location"]:
        return LOGIN
    return {403: REFUSED, 405: NO_METHOD}.get(answer.status_code, ALLOWED if answer.status_code < 500 else "broken")


@pytest.mark.parametrize("name", PAGES)
def test_the_matrix(_quiet, staff, name):
    address = PAGES[name][0]
    User.objects.create_user("visitor", password="secret")
    visitor = Client()
    visitor.login(username="visitor", password="secret")
    kinds = {"-".join(rights) or "none": (staff(*rights, name="-".join(rights) or "none"), rights) for rights in RIGHTS}
    root = staff(superuser=True, name="root")
    for method in METHODS:
        assert outcome(Client(), method, address) == LOGIN
        assert outcome(visitor, method, address) == LOGIN
        allowed = _allowed(name, method)
        for kind, (client, rights) in kinds.items():
            found = outcome(client, method, address)
            if allowed:
                assert found == (ALLOWED if set(rights) & set(allowed) else REFUSED), (kind, method)
            else:
                assert found in (NO_METHOD, REFUSED), (kind, method)
        assert outcome(root, method, address) == (ALLOWED if allowed else NO_METHOD), method


def _allowed(name: str, method: str) -> tuple[str, ...]:
    _address, may_get, may_post = PAGES[name]
    if method in ("PUT", "DELETE"):
        return may_get if name in DJANGOS_OWN else ()  # answered like GET
    return may_post if method == "POST" else may_get


@pytest.mark.parametrize("address", NEVER)
def test_nobody_adds_or_deletes_rows_by_hand(_quiet, admin, address):
    assert outcome(admin, "GET", address) == REFUSED
    assert outcome(admin, "POST", address) == REFUSED


def test_every_page_is_in_the_matrix():
    known = {f"updates_{name}" for name in PAGES} | {"updates_availableupdate_changelist", "updates_progress"}
    admin = next(found for found in get_resolver().url_patterns if str(found.pattern) == "admin/")
    names = {
        pattern.name
        for group in admin.url_patterns
        if str(group.pattern).startswith("updates/")
        for pattern in group.url_patterns
        if getattr(pattern, "name", None)
    }
    own = {name for name in names if not name.startswith(("updates_update",))}
    assert own == known - {f"updates_{name}" for name in ("dashboard", "log", "checks", "notices", "settings")}


def test_every_post_needs_a_csrf_token(_quiet, admin):
    UpdateSettings.load()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin.cookies
    for address, _get, may_post in PAGES.values():
        if may_post:
            assert strict.post(f"{BASE}/{address}").status_code == 403, address


def test_the_progress_needs_its_token_and_nothing_else(_quiet):
    address = f"{BASE}/availableupdate/progress"
    assert Client().get(f"{address}/{token_for(RUN)}/").json() == {"run_id": RUN, "state": "unknown"}
    assert Client().get(f"{address}/{RUN}/").status_code == 404
    assert Client().get(f"{address}/{token_for(RUN)[:-1]}x/").status_code == 404
    assert Client().post(f"{address}/{token_for(RUN)}/").status_code == 405


def test_a_token_is_good_for_a_day(_quiet, monkeypatch):
    import time

    token = token_for(RUN)
    later = time.time() + 24 * 3600 + 1
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert Client().get(f"{BASE}/availableupdate/progress/{token}/").status_code == 404


def test_staff_without_a_right_do_not_see_that_it_exists(_quiet, staff):
    assert "updates/" not in staff().get("/admin/").content.decode()
    assert "updates/availableupdate/" in staff(VIEW, name="eve").get("/admin/").content.decode()


@override_settings(UPDATER_ALLOW_WEB_INSTALL=False)
def test_a_project_can_forbid_installing_from_the_web(_quiet, admin):
    for name in ("install", "rehearse", "rollback", "recover"):
        assert outcome(admin, "POST", PAGES[name][0]) == REFUSED
    assert outcome(admin, "POST", PAGES["check"][0]) == ALLOWED


def test_a_notice_is_put_away_by_whoever_may_look(_quiet, staff):
    from django.utils import timezone

    notice = UpdateNotification.objects.create(key="k", kind="installed", component="core", created=timezone.now())
    staff(VIEW).post(f"{BASE}/availableupdate/notices/{notice.pk}/dismiss/")
    notice.refresh_from_db()
    assert notice.dismissed_by == "ada"
