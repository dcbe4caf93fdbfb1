"""The table of decisions: what is done in each situation, and why, in words (tests/golden/policy/decisions.txt).

``python -m tests.policy.test_decisions`` writes it anew; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from tests.support.packages import make_package
from updater.licensing import Entitlement
from updater.owner_policy import why_not_offered
from updater.schema.feed import Feed, Release, Requires, Rollout, RolloutStep, Yank
from updater.schema.licenses import License
from updater.schema.policy_config import AUTO_INSTALL, OwnerPolicy, Window
from updater.selection import hops, select

GOLDEN = Path(__file__).parents[1] / "golden" / "policy" / "decisions.txt"
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""
INSTALLED = "1.4.2"
SITE = "5" * 32


def release(version: str, *, hours: float = 100, **fields: Any) -> Release:
    """One published so many hours ago."""
    return replace(
        make_package({"a": b"1"}, version=version).to_release(), published=NOW - timedelta(hours=hours), **fields
    )


FEEDS: dict[str, Sequence[Release]] = {
    "a patch": [release("1.4.3")],
    "a minor release": [release("1.5.0")],
    "a major release": [release("2.0.0")],
    "a critical patch": [release("1.4.3", critical=True)],
    "a critical major release": [release("2.0.0", critical=True)],
    "a fresh patch, an hour old": [release("1.4.3", hours=1)],
    "a fresh critical patch": [release("1.4.3", hours=1, critical=True)],
    "a patch behind a critical one": [release("1.4.4"), release("1.4.3", critical=True)],
    "a major release, and a patch": [release("2.0.0"), release("1.4.3")],
    "a withdrawn patch": [release("1.4.3", yanked=Yank("it loses orders"))],
    "a halted patch": [release("1.4.3", halted=True)],
    "a patch that rolls out from tomorrow": [
        release("1.4.3", rollout=Rollout("1.4.3", (RolloutStep(NOW + timedelta(days=1), 100),)))
    ],
    "a critical patch that rolls out from tomorrow": [
        release("1.4.3", critical=True, rollout=Rollout("1.4.3", (RolloutStep(NOW + timedelta(days=1), 100),)))
    ],
    "a patch that rolls out from tomorrow behind a critical one, which does not wait": [
        release("1.4.4", rollout=Rollout("1.4.4", (RolloutStep(NOW + timedelta(days=1), 100),), critical_at_once=True)),
        release("1.4.3", critical=True),
    ],
    "a major release behind a stop": [release("2.0.0"), release("1.9.0", stop=True)],
    "one that can only be reached from 1.9": [release("2.0.0", requires=Requires(from_version="1.9.0"))],
    "nothing newer": [release("1.4.2")],
}
ALL = OwnerPolicy(auto_install="all")
WINDOW = Window(time(2), time(5), frozenset({5, 6}))
POLICIES: dict[str, OwnerPolicy] = {
    **{f"auto_install = {level}": OwnerPolicy(auto_install=level) for level in AUTO_INSTALL},
    "all, after a day of rest": replace(ALL, soak=24),
    "all, at weekends from 2 to 5": replace(ALL, window=WINDOW, zone="UTC"),
    "all, at any day from 11 to 13": replace(ALL, window=Window(time(11), time(13)), zone="UTC"),
    "all, held until Friday": replace(ALL, hold_until=date(2026, 3, 6), zone="UTC"),
    "all, held until today": replace(ALL, hold_until=date(2026, 3, 4), zone="UTC"),
    "all, approved by a person": replace(ALL, approvals="approved.txt"),
    "all but 1.4.3": replace(ALL, skip=("1.4.3",)),
    "all, as a canary": replace(ALL, canary=True),
    "all of 1.4": replace(ALL, pin="~=1.4.0"),
}
APPROVED = {"1.4.3"}
WAYS: dict[str, dict[str, Any]] = {
    "update --auto": {"unattended": True},
    "update": {},
    "update --to 2.0.0": {"to": "2.0.0"},
}


def decide(releases: Sequence[Release], policy: OwnerPolicy, **options: Any) -> tuple[str, tuple[str, ...]]:
    """What is installed, with all that follows it; and the reasons."""
    feed = Feed("shop", "stable", 1, NOW, tuple(releases))
    about: dict[str, Any] = {"site_id": SITE, "now": NOW, "python": "3.11.7", "policy": policy, "approved": APPROVED}
    options = about | options
    found = select(feed, INSTALLED, **options)
    if found.release is None:
        return "nothing", found.reasons
    to = options.pop("to", None)
    return ", then ".join((found.release.version, *hops(feed, found.release, to=to, **options))), found.reasons


def table() -> Iterator[str]:
    """A block for each situation."""
    for what, releases in FEEDS.items():
        for policy_name, policy in POLICIES.items():
            for way, options in WAYS.items():
                if "--to" in way and (policy_name != "auto_install = none" or releases[0].version != "2.0.0"):
                    continue
                chosen, reasons = decide(releases, policy, **options)
                yield f"{INSTALLED} is installed; {what}; {policy_name}; `{way}`\n  -> {chosen}\n"
                yield from (f"     {reason}\n" for reason in reasons)


def test_the_table_of_decisions() -> None:
    written = "".join(table())
    assert written.count("->") >= 200
    assert written == GOLDEN.read_text(encoding="utf-8")


VERSIONS = st.sampled_from(["1.4.1", "1.4.2", "1.4.3", "1.5.0", "1.9.0", "2.0.0", "2.1.0b1", "3.0.0"])
RELEASES = st.builds(
    release,
    VERSIONS,
    hours=st.floats(0, 100),
    critical=st.booleans(),
    halted=st.booleans(),
    stop=st.booleans(),
    yanked=st.none() | st.just(Yank("bad")),
    requires=st.none().map(lambda _: Requires()) | VERSIONS.map(lambda version: Requires(from_version=version)),
    cohorts=st.none() | st.just(()),
)
SOME = st.lists(RELEASES, max_size=6, unique_by=lambda listed: listed.version)
POLICY = st.builds(
    OwnerPolicy,
    auto_install=st.sampled_from(AUTO_INSTALL),
    soak=st.floats(0, 100),
    window=st.none() | st.just(WINDOW) | st.just(Window(time(0), time(0))),
    zone=st.just("UTC"),
    skip=st.lists(VERSIONS, max_size=2).map(tuple),
    pin=st.sampled_from(["", "~=1.4.0", "<3", "!=1.5.0"]),
    hold_until=st.none() | st.dates(date(2026, 3, 1), date(2026, 3, 8)),
    approvals=st.sampled_from(["", "approved.txt"]),
)


@given(SOME, POLICY, st.booleans(), st.none() | VERSIONS)
def test_older_releases_are_for_those_who_ask_by_name(
    releases: list[Release], policy: OwnerPolicy, unattended: bool, to: str | None
) -> None:
    """``downgrade`` opens one way back, to the release that was named, and nothing that is withdrawn or halted."""
    feed = Feed("shop", "stable", 1, NOW, tuple(releases))
    options: Mapping[str, Any] = {"site_id": SITE, "now": NOW, "python": "3.11.7", "policy": policy}
    found = select(feed, INSTALLED, unattended=unattended, to=to, downgrade=True, **options)
    if found.release is None or Version(found.release.version) > Version(INSTALLED):
        assert found == select(feed, INSTALLED, unattended=unattended, to=to, **options) or to is not None
    else:
        assert found.release.version == to
        assert found.release.yanked is None and not found.release.halted


ENTITLED = st.none() | st.builds(
    Entitlement,
    st.builds(
        License,
        st.just("L-1"),
        st.just("shop"),
        st.just("ACME"),
        st.just(NOW),
        st.none() | st.datetimes(datetime(2026, 2, 27), datetime(2026, 3, 5), timezones=st.just(UTC)),
    ),
    st.sampled_from(["", "it needs a licence"]),
    st.just(timedelta(days=1)),
)


@given(SOME, POLICY, st.booleans(), st.none() | VERSIONS, ENTITLED)
def test_what_is_never_offered(
    releases: list[Release], policy: OwnerPolicy, unattended: bool, to: str | None, entitled: Entitlement | None
) -> None:
    """Whatever the feed, the policy and the licence: no withdrawn, halted or older release, none past a stop, none of
    another group, none that the owner does not want, and none that is not paid for."""
    feed = Feed("shop", "stable", 1, NOW, tuple(releases))
    options: Mapping[str, Any] = {"site_id": SITE, "now": NOW, "python": "3.11.7", "policy": policy}
    options = {**options, "entitled": entitled}
    found = select(feed, INSTALLED, unattended=unattended, to=to, **options)
    assert found.reasons
    at = INSTALLED
    way = [] if found.release is None else [found.release.version]
    way += [] if found.release is None else hops(feed, found.release, to=to, unattended=unattended, **options)
    for version in way:
        chosen = feed.release(version)
        assert chosen is not None and chosen.yanked is None and not chosen.halted and chosen.cohorts is None
        assert Version(version) > Version(at)
        assert entitled is None or (not entitled.problem and entitled.why_not(chosen) is None)
        between = [r for r in releases if Version(at) < Version(r.version) < Version(version)]
        assert not [r for r in between if r.stop and r.yanked is None]
        oldest = chosen.requires.from_version
        assert oldest is None or Version(oldest) <= Version(at)
        if to is None:
            assert why_not_offered(chosen, policy) is None
            assert not unattended or (policy.auto_install != "none" and not policy.approvals)
        else:
            assert Version(version) <= Version(to)
        at = version


if __name__ == "__main__":
    GOLDEN.write_text("".join(table()), encoding="utf-8")
