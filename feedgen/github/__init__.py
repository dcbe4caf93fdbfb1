"""GitHub Releases as the store of packages (``feedgen publish --store github``).

Only the publisher talks to GitHub's API; sites fetch plain files by URL.
"""

from __future__ import annotations

from feedgen.github.client import GitHubClient
from feedgen.github.patience import Limits
from feedgen.github.store import GitHubStore, github_store
from feedgen.github.target import GitHubTarget, find_target, origin_url

__all__ = ["GitHubClient", "GitHubStore", "GitHubTarget", "Limits", "find_target", "github_store", "origin_url"]
