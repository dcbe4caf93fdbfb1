"""What the environment and the files beside the code say about this installation."""

import json
import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def flag(name):
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def words(name, default=""):
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def path(name, default):
    return Path(os.environ.get(name) or default).expanduser().absolute()


def version(base_dir):
    """The version written by the release build; "dev" in a checkout."""
    try:
        return str(json.loads((base_dir / "version.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "dev"


def secret_key(directory):
    """SHOP_SECRET_KEY, or the key kept in `directory`, which the first start creates."""
    if key := os.environ.get("SHOP_SECRET_KEY"):
        return key
    kept = directory / "secret_key.txt"
    if not kept.exists():
        directory.mkdir(parents=True, exist_ok=True)
        # mkstemp makes the file 0600; linking it into place lets just one of several starting processes win.
        descriptor, draft = tempfile.mkstemp(dir=directory, prefix="secret_key.")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(50) + "\n")
            os.link(draft, kept)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    key = kept.read_text(encoding="ascii").strip()
    if not key:
        raise ImproperlyConfigured(f"{kept} is empty: delete it, and the next start writes a new key.")
    return key


def database(sqlite_path):
    """DATABASE_URL=postgresql://user:password@host:port/name?sslmode=require, or the SQLite file."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": sqlite_path,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:5432/name")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
