"""From ``[database]`` in updater.toml to a database (docs/formats.md section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from updater.database.base import Database, NoDatabase
from updater.errors import DatabaseError
from updater.schema.site_config import DatabaseConfig

__all__ = ["database_url", "open_database"]


def open_database(config: DatabaseConfig, tree: Path, environ: Mapping[str, str]) -> Database:
    """The configured database; nothing is connected to yet.

    ``tree`` is the directory that holds the app's files: relative paths start there, and commands run there.
    ``environ`` is the environment that its tools get, and where ``url_env`` is looked up. Raises DatabaseError when
    the settings cannot be used.
    """
    match config.kind:
        case "sqlite":
            from updater.database.sqlite import SQLiteDatabase

            return SQLiteDatabase(tree / config.path, timeout=min(config.timeout, 60.0))
        case "postgresql":
            from updater.database.postgresql import PostgreSQLDatabase

            return PostgreSQLDatabase(database_url(config, environ), timeout=config.timeout, environ=environ)
        case "command":
            from updater.database.command import CommandDatabase

            return CommandDatabase(config.backup, config.restore, timeout=config.timeout, cwd=tree, env=environ)
        case "none":
            return NoDatabase()


def database_url(config: DatabaseConfig, environ: Mapping[str, str]) -> str:
    """The URL of a PostgreSQL database. Raises DatabaseError when the variable that holds it is not set."""
    found = environ.get(config.url_env, "") if config.url_env else ""
    if not found and not config.url:
        raise DatabaseError(
            f"the environment variable {config.url_env}, which holds the database's URL, is not set",
            hint="Set it for the updater as it is set for the app (in cron or systemd too), or use [database] url.",
        )
    return found or config.url
