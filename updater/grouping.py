"""Which releases of a site's components go together: a pure function of what each could be, with its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from updater.frozen import frozen
from updater.schema.text import CORE

__all__ = ["Candidate", "Member", "choose_together", "goes_with"]

_MOST_STEPS = 20_000
"""Candidates that are looked at. Sites have a handful of components, each with a few releases to choose from."""


@frozen
class Candidate:
    """What a component may be after the update. ``version`` is None for one that is not there; ``requires`` are the
    versions of others that it fits, by component."""

    version: str | None
    requires: Mapping[str, str] = field(default_factory=dict)
    new: bool = False


@frozen
class Member:
    """One component: what it is, and the releases that it could go to, the best first."""

    name: str
    now: Candidate
    offers: tuple[Candidate, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return (*self.offers, self.now)


def choose_together(members: Sequence[Member]) -> tuple[dict[str, Candidate], dict[str, tuple[str, ...]]]:
    """The best that goes together: of ``members``, which come in the order of their importance, the first gets the
    best that any choice for the others allows, then the second, and so on.

    Returns the choice for each, and for each why better ones were passed over. What stays as it is never stands against
    what stays as well: an update does not have to mend what was there before.
    """
    chosen = _search(list(members), {}, [_MOST_STEPS]) or {member.name: member.now for member in members}
    reasons = {}
    for member in members:
        passed = member.candidates[: member.candidates.index(chosen[member.name])]
        reasons[member.name] = tuple(f"{offer.version}: {_explain(member, offer, chosen)}." for offer in passed)
    return chosen, reasons


def goes_with(name: str, own: Candidate, chosen: Mapping[str, Candidate]) -> bool:
    """Whether one component could be ``own``, the others as they are ``chosen``."""
    return not _lacks(name, own, chosen) and not any(
        _against(name, own, other, candidate) for other, candidate in chosen.items() if other != name
    )


def _search(left: list[Member], chosen: dict[str, Candidate], steps: list[int]) -> dict[str, Candidate] | None:
    if not left:
        return chosen if all(not _lacks(name, own, chosen) for name, own in chosen.items()) else None
    member, *rest = left
    for candidate in member.candidates:
        steps[0] -= 1
        if steps[0] < 0:
            return None
        if any(_against(member.name, candidate, name, other) for name, other in chosen.items()):
            continue
        found = _search(rest, {**chosen, member.name: candidate}, steps)
        if found is not None:
            return found
    return None


def _against(first: str, one: Candidate, second: str, other: Candidate) -> str:
    """Why two choices do not go together, as a clause; empty when they do."""
    if not (one.new or other.new):
        return ""
    return _misfit(first, one, second, other) or _misfit(second, other, first, one)


def _misfit(name: str, own: Candidate, other_name: str, other: Candidate) -> str:
    wanted = own.requires.get(other_name)
    if wanted is None or own.version is None:
        return ""
    if other.version is None:
        # the core says which versions of a plugin it fits, not that it has to be there
        return "" if name == CORE else f"{name} {own.version} needs {other_name} {wanted}, which is not installed"
    try:
        if SpecifierSet(wanted).contains(other.version, prereleases=True):
            return ""
    except InvalidSpecifier:
        return f"what {name} {own.version} needs of {other_name}, {wanted!r}, cannot be read"
    return f"{name} {own.version} needs {other_name} {wanted}, and this site would have {other.version}"


def _lacks(name: str, own: Candidate, chosen: Mapping[str, Candidate]) -> str:
    """What a new release needs that the site does not even know, as a clause."""
    if not own.new or name == CORE:
        return ""
    unknown = [other for other in own.requires if other not in chosen]
    return (
        f"{name} {own.version} needs {unknown[0]} {own.requires[unknown[0]]}, which is not installed" if unknown else ""
    )


def _explain(member: Member, offer: Candidate, chosen: Mapping[str, Candidate]) -> str:
    others = ((name, other) for name, other in chosen.items() if name != member.name)
    reasons = (_against(member.name, offer, name, other) for name, other in others)
    return next(
        filter(None, (_lacks(member.name, offer, chosen), *reasons)), "the other components have no release for it"
    )
