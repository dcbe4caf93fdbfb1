"""Drafts of new keys on disk, and publishing them once they are signed.

A draft lies next to the site, never in it, as ``<version>.root.json`` and ``<version>.targets.json``. The folder can be
handed from one key holder to the next; each adds a signature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from feedgen.errors import ConfigError, PublishError, SigningError
from feedgen.keys import KeyRing
from feedgen.publish.site import Committed, commit
from feedgen.publish.writer import SiteWriter, replace_file, site_lock
from feedgen.repository.ceremony import Draft, Edit, Missing, describe, missing, propose, sign
from feedgen.repository.compose import Change, compose, role_keys, to_bytes
from feedgen.repository.state import RepositoryState, load
from feedgen.repository.tuf_api import DeserializationError, Key, Metadata, Root, Signer, Targets

__all__ = ["Ceremony", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a step of a ceremony led to: what the draft changes, and either what is missing or what was written."""

    changes: tuple[str, ...]
    missing: tuple[Missing, ...] = ()
    committed: Committed | None = None


class Ceremony:
    """Key changes of one site. ``folder``: where drafts lie; by default ``ceremony`` next to the site."""

    def __init__(self, site: Path, ring: KeyRing, *, now: datetime, grace: timedelta) -> None:
        self.site = site
        self.folder = site.resolve().parent / "ceremony"
        self._ring = ring
        self._now = now
        self._grace = grace

    def change(
        self, make_edit: Callable[[RepositoryState], Edit], *, accepted: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Propose an edit, sign it with the keys at hand, and publish it if that is enough.

        ``accepted`` is called once it is clear that the edit can be: the moment to write the file of a new key.
        Raises ``ConfigError`` for an edit that cannot be, or while another draft is pending.
        """
        with site_lock(self.site):
            if files := self._files():
                raise ConfigError(
                    f"Another change waits for signatures in {files[0].parent}",
                    hint="Finish it with 'feedgen root sign', or drop it with 'feedgen root discard'.",
                )
            state = load(self.site)
            draft = propose(state, make_edit(state), self._now)
            accepted()
            self._save(draft)
            return self._advance(state, draft, None)

    def sign(self, signer: Signer | None = None) -> Outcome:
        """Sign the pending draft with ``signer``, or with every key at hand, and publish it once it is complete.

        Raises ``ConfigError`` when nothing is pending, ``SigningError`` when ``signer`` does not count for it.
        """
        with site_lock(self.site):
            state = load(self.site)
            draft = self.pending(state)
            if not draft.parts:
                self._discard()
                raise ConfigError(
                    f"There is nothing to sign in {self.folder}",
                    hint="'feedgen root rotate' and the like propose changes. To sign a draft from another machine,"
                    f" copy its files to {self.folder}.",
                )
            return self._advance(state, draft, signer)

    def discard(self) -> bool:
        """Forget the pending draft; says whether there was one."""
        with site_lock(self.site):
            return self._discard()

    def pending(self, state: RepositoryState) -> Draft:
        """The draft on disk, without parts that are published already. Raises ``PublishError`` when it is outdated."""
        parts: dict[str, Metadata[Any]] = {}
        for path in self._files():
            metadata = _parse(path)
            role = metadata.signed.type
            published = state.metadata(role)
            if to_bytes(published) == to_bytes(metadata):
                continue
            if metadata.signed.version <= published.signed.version:
                raise PublishError(
                    f"{path} is outdated: version {published.signed.version} of {role} was published meanwhile",
                    hint="Drop it with 'feedgen root discard' and propose the change again.",
                )
            parts[role] = metadata
        root, targets = parts.get("root"), parts.get("targets")
        return Draft(root, targets)

    def _advance(self, state: RepositoryState, draft: Draft, signer: Signer | None) -> Outcome:
        changes = tuple(describe(state, draft))
        if signer is None:
            for found in self._signers(state, draft):
                sign(state, draft, found)
        elif not sign(state, draft, signer):
            raise SigningError(
                "That key does not count for this change",
                hint="Keys that do: " + "; ".join(str(item) for item in missing(state, draft)) + ".",
            )
        self._save(draft)
        lacking = tuple(missing(state, draft))
        if lacking:
            return Outcome(changes, lacking)
        writes = compose(state, Change(draft.root, draft.targets), self._ring, self._now)
        committed = commit(SiteWriter(self.site), writes, now=self._now, grace=self._grace)
        self._discard()
        return Outcome(changes, (), committed)

    def _signers(self, state: RepositoryState, draft: Draft) -> list[Signer]:
        keys: dict[str, Key] = {}
        for delegator in (state.root.signed, *([draft.root.signed] if draft.root else [])):
            for role in ("root", "targets"):
                keys |= {key.keyid: key for key in role_keys(delegator, role)[0]}
        return [self._ring.signer(key) for key in self._ring.available(list(keys.values()))]

    def _files(self) -> list[Path]:
        return sorted([*self.folder.glob("*.root.json"), *self.folder.glob("*.targets.json")])

    def _save(self, draft: Draft) -> None:
        for role, metadata in draft.parts.items():
            replace_file(self.folder / f"{metadata.signed.version}.{role}.json", to_bytes(metadata))

    def _discard(self) -> bool:
        files = self._files()
        for path in files:
            path.unlink()
        return bool(files)


def _parse(path: Path) -> Metadata[Any]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    except DeserializationError as error:
        raise PublishError(f"{path} is not TUF metadata", hint="Copy the draft again from where it came.") from error
    if not isinstance(metadata.signed, Root | Targets) or metadata.signed.type not in path.name:
        raise PublishError(f"{path} is not what its name says", hint="Copy the draft again from where it came.")
    return metadata
