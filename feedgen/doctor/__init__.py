"""Looking for everything that would stop a release or a refresh, and saying how to mend it."""
