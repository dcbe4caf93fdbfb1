"""Django in this process, a database for each test, and real sites that a real publisher serves on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("django", reason="Django is not installed")

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.contrib.django.project.settings"
import django

django.setup()
os.environ.pop("DJANGO_SETTINGS_MODULE")

from django.contrib.auth.models import Permission, User  # noqa: E402
from django.core import mail  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.test.utils import setup_test_environment, teardown_test_environment  # noqa: E402

from tests.contrib.django.site import TestSite  # noqa: E402
from updater.contrib.django.conf import Conf  # noqa: E402
from updater.contrib.django.runs.request import Request  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    setup_test_environment()
    yield
    teardown_test_environment()


@pytest.fixture(scope="session")
def _tables() -> Iterator[None]:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    yield
    connection.close()


@pytest.fixture
def db(_tables: None) -> Iterator[None]:
    """Tables that are empty again afterwards."""
    mail.outbox.clear()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TestSite]:
    """A site at 1.0.0 whose feed offers 1.1.0; ``UPDATER_SITE`` leads to it."""
    with TestSite.make(tmp_path) as made, override_settings(UPDATER_SITE=str(made.path)):
        yield made


@pytest.fixture(scope="module")
def _module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestSite]:
    with TestSite.make(tmp_path_factory.mktemp("module")) as made:
        yield made


@pytest.fixture
def shared_site(_module_site: TestSite) -> Iterator[TestSite]:
    """Such a site for tests that neither update it nor publish anything: one for the whole module."""
    with override_settings(UPDATER_SITE=str(_module_site.path)):
        yield _module_site


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What pages ask for, in order; nothing is started."""
    found: list[Request] = []

    def runner(request: Request, settings: Conf) -> None:
        found.append(request)
        settings.require_folder().withdraw()

    monkeypatch.setattr("updater.contrib.django.runners._runner", lambda settings: runner)
    return found


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Makes a logged-in client: ``staff("install_update")`` with that permission, ``staff(superuser=True)``."""

    def make(*permissions: str, superuser: bool = False, name: str = "ada") -> Client:
        user = User.objects.create_user(name, f"{name}@example.org", "secret", is_staff=True, is_superuser=superuser)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=permissions, content_type__app_label="updates")
        )
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def admin(staff: Callable[..., Client]) -> Client:
    """A superuser's browser."""
    return staff(superuser=True)
