"""The whole way once, with real processes: check, look, install, follow, roll back."""

from __future__ import annotations

import re
import time

from django.test import Client

from tests.contrib.django.site import TestSite
from updater.contrib.django.models import AvailableUpdate, UpdateCheck, UpdateLog

DASHBOARD = "/admin/updates/availableupdate/"


def post(client: Client, path: str, **data: str):
    return client.post(f"{DASHBOARD}{path}", data)


def wait(client: Client, location: str) -> dict:
    """Follow a run through the endpoint that its page names, as the page's script does."""
    token = re.search(r'data-tagship-progress="([^"]+)"', client.get(location).content.decode())
    assert token is not None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = Client().get(token[1]).json()
        if found["state"] not in ("requested", "running"):
            return found
        time.sleep(0.2)
    raise AssertionError(found)


def test_check_install_and_roll_back(site: TestSite, admin: Client):
    from django.core.management import call_command

    page = admin.get(DASHBOARD).content.decode()
    assert "shop 1.0.0" in page
    call_command("check_updates", force=True, verbosity=0)
    page = admin.get(DASHBOARD).content.decode()
    assert "1.1.0 is available" in page
    assert "Updates (1)" in admin.get("/admin/").content.decode()
    assert "A comma." in page and "<strong>Everything</strong>" in page
    assert "<script>alert" not in page
    assert AvailableUpdate.objects.get().version == "1.1.0"

    answer = post(admin, "install/", version="1.1.0")
    assert answer.status_code == 302, answer.content
    ended = wait(admin, answer["Location"])
    assert ended["state"] == "done", str(ended)
    assert site.version == "1.1.0"
    assert (site.path / "app.txt").read_text() == "this is 1.1.0\n"

    page = admin.get(DASHBOARD).content.decode()
    assert "shop 1.1.0" in page and "is available" not in page
    log = UpdateLog.objects.get(event="update")
    assert (log.actor, log.from_version, log.to_version, log.result) == ("ada", "1.0.0", "1.1.0", "done")
    assert UpdateCheck.objects.count() == 1

    point = site.updater.restore_points()[0]
    answer = post(admin, f"rollback/{point.id}/", consent="1")
    ended = wait(admin, answer["Location"])
    assert ended["state"] == "done", str(ended)
    assert site.version == "1.0.0"
