"""Looking for everything that would stop an update, before one is tried. Changes nothing."""

from updater.doctor.examine import examine

__all__ = ["examine"]
