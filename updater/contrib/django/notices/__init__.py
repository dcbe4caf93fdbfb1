"""Telling people: which notices there are (`make`), and how they reach somebody (`deliver`)."""
