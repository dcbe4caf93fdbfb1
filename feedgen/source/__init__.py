"""Reading the app's repository: tags, trees, changelog, Django migrations. Nothing here writes to it."""

from feedgen.source.changelog import release_notes
from feedgen.source.git import BlobReader, Commit, Repository, TreeEntry
from feedgen.source.tags import parse_tag

__all__ = ["BlobReader", "Commit", "Repository", "TreeEntry", "parse_tag", "release_notes"]
