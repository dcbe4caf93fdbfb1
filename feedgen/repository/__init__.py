"""The TUF repository inside a published site: reading it, deciding what to sign, and composing the new files.

Nothing here writes: composed files are `Write` objects that `feedgen.publish.writer` puts in place.
"""
