"""The workflows on GitHub, run here."""
