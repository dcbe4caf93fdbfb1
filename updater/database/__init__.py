"""Backing up and restoring the app's database (docs/formats.md section 7, ``[database]``). Standard library only."""

from updater.database.base import Backup, BackupFile, Database
from updater.database.factory import open_database

__all__ = ["Backup", "BackupFile", "Database", "open_database"]
