"""The settings panel: one row, obeyed, with pinned values and a secret that is never shown."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.test import override_settings

from updater.contrib.django.conf import conf
from updater.contrib.django.models import UpdateSettings
from updater.contrib.django.panel import effective, effective_policy

PANEL = "/admin/updates/updatesettings/1/change/"
FORM = {
    "auto_check": "on",
    "frequency": "weekly",
    "auto_install_critical": "on",
    "digest": "daily",
    "window_start": "22:00",
    "window_end": "04:00",
    "window_days": ["4", "5"],
    "email_recipients": "ada@example.org",
    "email_notices": "on",
    "webhook_url": "",
    "webhook_secret": "",
    "max_backups": "5",
    "max_age_days": "0",
    "edited": "overwrite",
    "channel": "stable",
}


@pytest.fixture
def panel(shared_site, admin):
    return admin


def test_settings_are_saved_and_count(panel):
    assert panel.post(PANEL, FORM).status_code == 302
    row = UpdateSettings.load()
    policy = row.policy()
    assert (policy.frequency, policy.critical, policy.ordinary) == ("weekly", True, False)
    assert policy.window is not None and policy.window.days == {4, 5}
    assert row.recipients() == ["ada@example.org"]
    assert not row.admin_notices  # what is not ticked is off
    page = panel.get("/admin/updates/availableupdate/").content.decode()
    assert "Checks weekly." in page and "Critical updates install themselves." in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_end": ""}, "needs both times"),
        ({"window_days": []}, "needs a day"),
        ({"email_recipients": "ada@example.org, nobody"}, "nobody is not an e-mail address"),
        ({"webhook_url": "http://example.org/"}, "must be https"),
        ({"webhook_url": "https://u:p@example.org/"}, "must be https"),
        ({"frequency": "hourly"}, "not one of the available choices"),
    ],
)
def test_what_makes_no_sense_is_refused(panel, change, message):
    answer = panel.post(PANEL, FORM | change)
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert UpdateSettings.load().frequency == "daily"


def test_a_secret_is_never_shown_or_logged_again(panel):
    panel.post(PANEL, FORM | {"webhook_secret": "s3cr3t-value", "webhook_url": "https://example.org/hook"})
    assert UpdateSettings.load().webhook_secret == "s3cr3t-value"
    page = panel.get(PANEL).content.decode()
    assert "s3cr3t-value" not in page and "A secret is set" in page
    failed = panel.post(PANEL, FORM | {"webhook_secret": "an0ther", "frequency": "hourly"}).content.decode()
    assert "s3cr3t-value" not in failed and "an0ther" not in failed
    assert not any("s3cr3t" in entry.change_message for entry in LogEntry.objects.all())
    panel.post(PANEL, FORM)
    assert UpdateSettings.load().webhook_secret == "s3cr3t-value"  # empty keeps it
    panel.post(PANEL, FORM | {"forget_secret": "on"})
    assert UpdateSettings.load().webhook_secret == ""


@override_settings(UPDATER_PINNED={"frequency": "monthly", "auto_install": True})
def test_pinned_values_are_shown_and_cannot_be_changed(panel):
    page = panel.get(PANEL).content.decode()
    assert page.count("UPDATER_PINNED") == 2
    panel.post(PANEL, FORM | {"frequency": "weekly"})
    policy = effective_policy(UpdateSettings.load())
    assert (policy.frequency, policy.ordinary) == ("monthly", True)


def test_there_is_one_row(db, shared_site):
    UpdateSettings.load()
    UpdateSettings(frequency="weekly").save()
    assert UpdateSettings.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        UpdateSettings.objects.bulk_create([UpdateSettings(pk=2)])


def test_effective_values_are_a_copy(db, shared_site):
    row = UpdateSettings.load()
    with override_settings(UPDATER_PINNED={"frequency": "monthly", "unknown": 1}):
        assert effective(row).frequency == "monthly"
    assert row.frequency == "daily"


def test_the_panel_shows_what_the_owner_wrote_and_no_command(panel, shared_site):
    page = panel.get(PANEL).content.decode()
    assert f"{shared_site.server.url}stable.json" in page
    assert "manage.py&quot;" not in page


def test_a_test_mail_says_what_came_of_it(panel):
    panel.post(PANEL, FORM)
    page = panel.post("/admin/updates/updatesettings/test-mail/", follow=True).content.decode()
    assert [message.to for message in mail.outbox] == [["ada@example.org"]]
    assert "A test was sent to ada@example.org" in page


@pytest.mark.parametrize(
    ("name", "value"),
    [("UPDATER_RUNNER", "threads"), ("UPDATER_SITE", 5), ("UPDATER_PINNED", []), ("UPDATER_ALLOW_WEB_INSTALL", "no")],
)
def test_settings_of_a_wrong_kind_are_refused(name, value):
    with override_settings(**{name: value}), pytest.raises(ImproperlyConfigured, match=name):
        conf()


def test_a_project_without_a_site_says_what_is_missing(admin, tmp_path):
    with override_settings(BASE_DIR=tmp_path, UPDATER_SITE=None):
        page = admin.get("/admin/updates/availableupdate/").content.decode()
        assert "Set UPDATER_SITE" in page
        assert admin.get("/admin/").status_code == 200


# the owner's file


def test_what_stands_in_the_owners_file_is_changed_there_and_nothing_else(site, admin):
    before = (site.path / "updater.toml").read_text()
    form = FORM | {"feed_url": f"{site.server.url}stable.json"}
    admin.post(PANEL, form)
    assert (site.path / "updater.toml").read_text() == before
    admin.post(PANEL, form | {"max_backups": "9", "edited": "keep", "channel": "beta"})
    config = site.site.config()
    assert (config.backup.max_backups, config.edited) == (9, "keep")
    assert config.feed_url == f"{site.server.url}beta.json"
    assert config.commands.runner == type(config).parse(before).commands.runner
    assert (site.path / "updater.toml").stat().st_mode & 0o777 == 0o644


def test_a_token_for_the_feed_is_kept_sent_and_never_shown(site, admin):
    form = FORM | {"feed_url": f"{site.server.url}stable.json"}
    admin.post(PANEL, form | {"feed_token": "t0ken-of-the-feed"})
    kept = site.path / ".updater" / "credentials.toml"
    assert "t0ken-of-the-feed" in kept.read_text() and kept.stat().st_mode & 0o777 == 0o600
    page = admin.get(PANEL).content.decode()
    assert "t0ken" not in page and "A token is set" in page
    site.server.requests.clear()
    site.updater.check()
    assert {request.headers.get("authorization") for request in site.server.requests} == {"Bearer t0ken-of-the-feed"}
    assert not any("t0ken" in entry.change_message for entry in LogEntry.objects.all())
    admin.post(PANEL, form)
    assert kept.exists()  # empty keeps it
    assert "cannot be a token" in admin.post(PANEL, form | {"feed_token": "é"}).content.decode()
    admin.post(PANEL, form | {"forget_token": "on"})
    assert not kept.exists()


@pytest.mark.parametrize("url", ["http://example.org/stable.json", "nonsense", 'https://x/"\n[alert]'])
def test_a_feed_that_is_none_is_refused(site, admin, url):
    before = (site.path / "updater.toml").read_text()
    assert admin.post(PANEL, FORM | {"feed_url": url}).status_code == 200
    assert (site.path / "updater.toml").read_text() == before


def test_the_file_is_not_changed_while_an_update_runs(site, admin):
    from updater.site import SiteLock

    form = FORM | {"feed_url": f"{site.server.url}stable.json", "max_backups": "9"}
    with SiteLock(site.site.lock_path):
        page = admin.post(PANEL, form, follow=True).content.decode()
    assert "Another updater is at work" in page
    assert site.site.config().backup.max_backups == 5


def test_a_file_that_is_somebody_elses_can_only_be_looked_at(site, admin, monkeypatch):
    monkeypatch.setattr("updater.contrib.django.owner_file.os.geteuid", lambda: 12345)
    assert "Changed in updater.toml on the server" in admin.get(PANEL).content.decode()
    admin.post(PANEL, FORM | {"max_backups": "9"})
    assert site.site.config().backup.max_backups == 5


def test_what_is_decided_above_the_file_is_shown_and_cannot_be_changed(site, admin, monkeypatch):
    monkeypatch.setenv("UPDATER_BACKUP_MAX_BACKUPS", "3")
    page = admin.get(PANEL).content.decode()
    assert "Decided by the variable UPDATER_BACKUP_MAX_BACKUPS" in page
    before = (site.path / "updater.toml").read_text()
    form = FORM | {"feed_url": f"{site.server.url}stable.json"}
    assert admin.post(PANEL, form | {"max_backups": "9"}).status_code == 302
    assert (site.path / "updater.toml").read_text() == before
