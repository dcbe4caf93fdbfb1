"""A small Django project around the app, for tests: one file of SQLite, the plain admin, a content security policy."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import django

BASE_DIR = Path(os.environ.get("TEST_SITE", tempfile.gettempdir()))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("TEST_DATABASE", ":memory:"),
        "OPTIONS": {"timeout": 5},
    }
}
if "TEST_PG_PORT" in os.environ:
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "app",
        "HOST": "127.0.0.1",
        "PORT": os.environ["TEST_PG_PORT"],
        "PASSWORD": os.environ["TEST_PG_PASSWORD"],
    }
if "TEST_RUN_FOLDER" in os.environ:
    UPDATER_RUN_FOLDER = os.environ["TEST_RUN_FOLDER"]
    UPDATER_RUNNER = "systemd-path"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "only for tests, and the same in every process"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "tests.contrib.django.project.urls"
STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("TEST_STATIC")
INSTALLED_APPS = [
    *filter(None, os.environ.get("TEST_THEME_APPS", "").split(",")),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "updater.contrib.django",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "updater.contrib.django.context_processors.updates",
            ],
        },
    },
]
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
