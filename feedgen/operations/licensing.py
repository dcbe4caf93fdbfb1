"""Licences of a paid app: what feeds say of them, and issuing them, offline (docs/licensing.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from feedgen.errors import ConfigError, PublishError
from feedgen.operations.feed_edits import FeedEdit
from updater.errors import SchemaError
from updater.schema.feed import Feed
from updater.schema.licenses import License, Licensing, Sealed, to_sign

__all__ = ["FOLDER", "GRACE_DAYS", "KEY_NAME", "Register", "free", "issue", "public_key", "require", "revoke"]

KEY_NAME = "license"
"""The key that licences are signed with. No feed is: whoever has it can give the app away, and nothing else."""

GRACE_DAYS = 14
"""Unless the maintainer says otherwise."""

FOLDER = "licenses"
"""Beside the keys: a copy of each licence, so that there is a list of them. It names customers: never publish it."""


def public_key(private: Ed25519PrivateKey) -> str:
    """As feeds name it: 64 hex digits."""
    return private.public_key().public_bytes_raw().hex()


def require(
    key: str, *, grace_days: int | None = None, message: str | None = None, revoked: Iterable[str] = ()
) -> FeedEdit:
    """Let only sites with a licence have releases from now on. Keys and revocations that are there stay, and so does
    what is None; ``revoked`` are those of before."""

    def edit(feed: Feed) -> Feed:
        old = feed.licensing or Licensing((), grace_days=GRACE_DAYS)
        new = replace(
            old,
            keys=old.keys if key in old.keys else (*old.keys, key),
            grace_days=old.grace_days if grace_days is None else grace_days,
            revoked=tuple(sorted({*old.revoked, *revoked})),
            message=old.message if message is None else message,
        )
        return replace(feed, licensing=new)

    return edit


def free(feed: Feed) -> Feed:
    """Let everybody have the releases again."""
    return replace(feed, licensing=None)


def revoke(name: str, *, again: bool = False) -> FeedEdit:
    """Let a licence count no more; ``again``: let it count. Raises ``PublishError`` when no licence is needed."""

    def edit(feed: Feed) -> Feed:
        if feed.licensing is None:
            raise PublishError("The feeds ask for no licence", hint="'feedgen license require' makes them.")
        revoked = {*feed.licensing.revoked} - {name} if again else {*feed.licensing.revoked, name}
        return replace(feed, licensing=replace(feed.licensing, revoked=tuple(sorted(revoked))))

    return edit


def issue(found: License, private: Ed25519PrivateKey) -> Sealed:
    """Sign a licence. Raises ``ConfigError`` for one that clients would not read."""
    payload = found.to_bytes()
    try:
        License.parse(payload)
    except SchemaError as error:
        problems = "; ".join(f"{problem.path.removeprefix('$.')} {problem.message}" for problem in error.problems)
        raise ConfigError(f"This licence cannot be issued: {problems}") from error
    return Sealed(payload, private.sign(to_sign(payload)).hex())


@dataclass(frozen=True)
class Register:
    """The licences that were issued, in a folder beside the keys."""

    folder: Path

    def add(self, found: License, sealed: Sealed) -> Path:
        """Keep a copy. Raises ``ConfigError`` when that id was issued before: one id is one licence."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{found.id}.json"
        try:
            with path.open("xb") as file:
                file.write(sealed.to_bytes())
        except FileExistsError:
            raise ConfigError(
                f"A licence {found.id} was issued before", hint="Choose another --id, or leave it away."
            ) from None
        path.chmod(0o600)
        return path

    def note(self, name: str, *, revoked: bool) -> None:
        """Remember a revocation: the feeds forget theirs when they ask for no licence."""
        path = self.folder / f"{name}.revoked"
        if revoked:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        else:
            path.unlink(missing_ok=True)

    def revoked(self) -> list[str]:
        """The ids that were revoked."""
        return [path.stem for path in self.folder.glob("*.revoked")]

    def all(self) -> tuple[list[License], list[str]]:
        """Them, the oldest first; and the names of files that are none."""
        found, others = [], []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(License.parse(Sealed.parse(path.read_bytes()).payload, path.name))
            except SchemaError:
                others.append(path.name)
        return sorted(found, key=lambda item: (item.issued, item.id)), others

    def next_id(self, year: int) -> str:
        """``L-2026-0007``: the next number of the year."""
        ends = [path.stem.rpartition("-")[2] for path in self.folder.glob(f"L-{year}-*.json")]
        numbers = [int(end) for end in ends if end.isdecimal()]
        return f"L-{year}-{max(numbers, default=0) + 1:04}"
