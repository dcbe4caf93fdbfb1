"""The admin's pages: the dashboard, what its buttons do, progress, history and settings."""
