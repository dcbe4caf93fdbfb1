"""Backing up and restoring the app's database (docs/formats.md section 7, ``[database]``). Standard library only."""

from updater.database.base import Backup, BackupFile, Database, TableRows, check_files
from updater.database.factory import open_database

__all__ = ["Backup", "BackupFile", "Database", "TableRows", "check_files", "open_database"]
