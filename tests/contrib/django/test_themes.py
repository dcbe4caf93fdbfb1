"""The pages in the themes that people put on the admin: everything is found, pressed and read there as well."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contrib.django.site import ROOT, TestSite
from tests.contrib.django.web import free_port
from tests.support.browser import chromium
from tests.support.require import give_up

pytestmark = pytest.mark.slow
THEMES = {"unfold": "django-unfold", "jazzmin": "django-jazzmin", "grappelli": "django-grappelli"}


@contextmanager
def served(site: TestSite, folder: Path, theme: str) -> Iterator[str]:
    """The admin with that theme, on a server of its own; there is a user, and 1.1.0 waits."""
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.contrib.django.project.settings",
        "PYTHONPATH": str(ROOT),
        "TEST_SITE": str(site.path),
        "TEST_DATABASE": str(folder / "db.sqlite3"),
        "TEST_THEME_APPS": theme,
        "DJANGO_SUPERUSER_PASSWORD": "secret",
    }
    django = [sys.executable, "-m", "django"]
    for words in (
        ["migrate", "-v0"],
        ["createsuperuser", "--noinput", "-v0", "--username", "ada", "--email", "ada@example.org"],
        ["check_updates", "--force", "-v0"],
    ):
        subprocess.run([*django, *words], env=environ, check=True, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{(port := free_port())}"
    words = [*django, "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"]
    server = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/own/").close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme(site: TestSite, tmp_path: Path, theme: str) -> None:
    if importlib.util.find_spec(theme) is None:
        give_up(f"REQUIRED PROGRAM MISSING: the theme {theme} (install the Python package {THEMES[theme]!r})")
    with served(site, tmp_path, theme) as url, chromium(tmp_path / "profile") as page:
        page.look()
        page.open(f"{url}/admin/login/?next=/admin/")
        page.fill("[name=username]", "ada")
        page.fill("[name=password]", "secret")
        page.run("document.querySelector('[name=password]').form.submit()")
        page.wait_for("Updates (1)")
        page.open(f"{url}/admin/updates/availableupdate/")
        assert "1.1.0 is available" in page.text()
        button = "document.querySelector('form[action$=\"/install/\"] button')"
        style = f"getComputedStyle({button})"
        assert page.run(f"{style}.backgroundColor") == "rgb(29, 95, 138)"  # ours, whatever the theme does to buttons
        assert page.run(f"{button}.getBoundingClientRect().height") >= 24  # WCAG 2.2, target size
        page.open(f"{url}/admin/updates/updatesettings/1/change/")
        assert page.run("getComputedStyle(document.querySelector('[name=webhook_url]')).borderTopWidth") != "0px"
        page.open(f"{url}/admin/updates/availableupdate/")
        page.click("form[action$='/install/'] button")
        page.wait_for("1.1.0 is installed.", 120)
        assert site.version == "1.1.0"
