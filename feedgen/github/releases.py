"""Releases of one repository: found also while they are drafts, created as drafts, published with every flag said."""

from __future__ import annotations

from github.GitRelease import GitRelease

from feedgen.errors import PublishError, RateLimitError, StoreError
from feedgen.github.client import GitHubClient
from feedgen.publish.store import ReleasePage

__all__ = ["Releases"]

LONGEST_BODY = 120_000
"""GitHub takes 125,000 characters."""

_QUERY = """
query($owner: String!, $name: String!, $tag: String!) {
  repository(owner: $owner, name: $name) { release(tagName: $tag) { databaseId isDraft } }
}
"""


class Releases:
    """The releases that one client sees."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def find(self, tag: str) -> GitRelease | None:
        """The release of ``tag``, published or a draft."""
        try:
            return self._client.call(
                f"show the release {tag}", lambda: self._client.repository.get_release(tag), need="contents: read"
            )
        except StoreError as error:
            if error.status != 404:
                raise
        return self.find_draft(tag)

    def find_draft(self, tag: str) -> GitRelease | None:
        """The draft for ``tag``. REST has no call for that, so GraphQL is asked; if that fails the list is read."""
        try:
            number = self._client.call(f"look for a draft of {tag}", lambda: self._ask(tag))
        except RateLimitError:
            raise
        except StoreError:
            return self._search(tag)
        if number is None:
            return None
        return self._client.call(f"show the draft of {tag}", lambda: self._client.repository.get_release(number))

    def create_draft(self, page: ReleasePage) -> GitRelease:
        """A new draft; when the answer is lost, the one that was created."""
        repository = self._client.repository
        return self._client.call(
            f"create the release {page.tag}",
            lambda: repository.create_git_release(
                page.tag,
                page.title,
                _body(page),
                draft=True,
                prerelease=page.prerelease,
                make_latest="false",
            ),
            recover=lambda: self.find_draft(page.tag),
        )

    def publish(self, release: GitRelease, page: ReleasePage) -> GitRelease:
        """Make a draft public. Texts that somebody wrote into the draft stay."""
        return self._client.call(
            f"publish the release {page.tag}",
            lambda: release.update_release(
                release.name or page.title,
                release.body or _body(page),
                draft=False,
                prerelease=page.prerelease,
                tag_name=page.tag,
                make_latest="true" if page.latest else "false",
            ),
        )

    def generated_notes(self, tag: str) -> str:
        """The notes that GitHub writes from what was merged since the release before; nothing is changed by that."""
        repository = self._client.repository
        notes = self._client.call(
            f"write the notes of {tag}", lambda: repository.generate_release_notes(tag_name=tag).body
        )
        return notes.replace("\r\n", "\n").strip()

    def check_tag(self, page: ReleasePage) -> None:
        """Raise ``PublishError`` unless GitHub has the tag at the same commit.

        Publishing a draft whose tag is missing would create the tag, on whatever the default branch is at.
        """
        repository = self._client.repository
        try:
            target = self._client.call(
                f"show the tag {page.tag}", lambda: repository.get_git_ref(f"tags/{page.tag}").object
            )
        except StoreError as error:
            if error.status != 404:
                raise
            raise PublishError(
                f"The tag {page.tag} is not in {repository.full_name} on GitHub",
                hint=f"Push it first: git push origin {page.tag}",
            ) from error
        commit = target.sha
        if target.type == "tag":
            sha = target.sha
            commit = self._client.call(f"show the tag {page.tag}", lambda: repository.get_git_tag(sha).object.sha)
        if page.commit and commit != page.commit:
            raise PublishError(
                f"The tag {page.tag} names the commit {commit[:12]} on GitHub, and {page.commit[:12]} here",
                hint="Fetch the tag (git fetch --tags --force) and look which one is meant. A version that was"
                " published keeps its commit; give the changed tree a new version.",
            )

    def _ask(self, tag: str) -> int | None:
        owner, _, name = self._client.repository.full_name.partition("/")
        requester = self._client.github.requester
        _, answer = requester.graphql_query(_QUERY, {"owner": owner, "name": name, "tag": tag})
        release = answer["data"]["repository"]["release"]
        return int(release["databaseId"]) if release and release["isDraft"] else None

    def _search(self, tag: str) -> GitRelease | None:
        """Read the list of releases, drafts included, page by page."""

        def look() -> GitRelease | None:
            drafts = (found for found in self._client.repository.get_releases() if found.draft)
            return next((found for found in drafts if found.tag_name == tag), None)

        return self._client.call("list the releases", look)


def _body(page: ReleasePage) -> str:
    if len(page.notes) <= LONGEST_BODY:
        return page.notes
    return page.notes[:LONGEST_BODY].rpartition("\n")[0] + "\n\n…"
