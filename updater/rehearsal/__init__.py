"""Trying an update on a copy of the site and its database, confined to it (docs/backups.md). Standard library only."""

from updater.rehearsal.rehearsal import VARIABLE, Rehearsal, rehearsals, sweep_rehearsals
from updater.rehearsal.report import RehearsalReport, RehearsedStep

__all__ = ["VARIABLE", "Rehearsal", "RehearsalReport", "RehearsedStep", "rehearsals", "sweep_rehearsals"]
