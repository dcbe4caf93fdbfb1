"""Making deltas (docs/formats.md section 12): `create_delta` writes the one from one package to another.

What is read and how it is laid out belongs to `updater.delta`; here is what chooses: which files are packed together,
what each is built from, and how hard to compress.
"""

from feedgen.delta.create import CreatedDelta, create_delta

__all__ = ["CreatedDelta", "create_delta"]
