"""From tags to versions, and from versions to the release before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from feedgen.build.prior import previous_tag
from feedgen.errors import SourceError
from feedgen.source.tags import parse_tag
from updater.schema.text import channel_of, check_version


@pytest.mark.parametrize(
    ("tag", "version", "channel"),
    [
        ("v1.2.0", "1.2.0", "stable"),
        ("v1.2.0-rc.1", "1.2.0rc1", "beta"),
        ("v1.2.0rc1", "1.2.0rc1", "beta"),
        ("v1.2.0-beta.1", "1.2.0b1", "beta"),
        ("v1.2.0b1", "1.2.0b1", "beta"),
        ("v1.2.0-alpha.3", "1.2.0a3", "alpha"),
        ("v1.2.0a3", "1.2.0a3", "alpha"),
        ("v1.2.0.dev4", "1.2.0.dev4", "alpha"),
        ("v1.2.0-dev.4", "1.2.0.dev4", "alpha"),
        ("v1.2.0-alpha", "1.2.0a0", "alpha"),
        ("v1.2.0.post1", "1.2.0.post1", "stable"),
        ("v2026.01.05", "2026.1.5", "stable"),
    ],
)
def test_tags_of_the_format(tag: str, version: str, channel: str) -> None:
    assert parse_tag(tag) == version
    assert channel_of(version) == channel


@pytest.mark.parametrize(
    ("tag", "says", "advises"),
    [
        ("1.2.0", "followed by a version", "v1.2.0"),
        ("vv1.2.0", "followed by a version", "tag_prefix"),
        ("v", "followed by a version", "tag_prefix"),
        ("release-1", "followed by a version", "tag_prefix"),
        ("v1.2.0-final2-x", "does not name a version", "-rc.1"),
        ("v1.2.0 ", "does not name a version", "v1.2.0"),
        ("v1.0po\u017ft1", "does not name a version", "v1.2.0"),
        ("v1!1.0", "epoch", "v1.0"),
        ("v0!1.0", "epoch", "v1.0"),
        ("v1.0+cpu", "local part", "v1.0"),
        ("v1.0-1", "SemVer", "v1.0-rc.1 or v1.0.post1"),
        ("v1.1234567890123456789", "normal form", "smaller"),
    ],
)
def test_refused_tags(tag: str, says: str, advises: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_tag(tag)
    assert says in str(caught.value)
    assert advises in caught.value.hint


def test_prefixes() -> None:
    assert parse_tag("shop-v1.0", "shop-v") == "1.0"
    assert parse_tag("1.0", "") == "1.0"
    with pytest.raises(SourceError):
        parse_tag("v1.0", "")


numbers = st.integers(0, 9999)
semver = st.builds(
    lambda core, label, number: (core, label, number),
    st.tuples(numbers, numbers, numbers),
    st.sampled_from(["", "alpha", "beta", "rc", "dev"]),
    numbers,
)


@given(semver)
def test_semver_tags_keep_their_meaning(parts: tuple[tuple[int, ...], str, int]) -> None:
    core, label, number = parts
    text = ".".join(map(str, core)) + (f"-{label}.{number}" if label else "")
    version = parse_tag(f"v{text}")
    check_version(version)
    assert Version(version).release == core
    assert channel_of(version) == {"": "stable", "rc": "beta", "beta": "beta"}.get(label, "alpha")
    assert parse_tag(f"v{version}") == version


@given(st.text(max_size=30))
def test_any_text_is_a_normal_version_or_a_source_error(text: str) -> None:
    for prefix in ("v", ""):
        try:
            check_version(parse_tag(text, prefix))
        except SourceError as error:
            assert error.hint


TAGS = ["v1.0.0", "v1.1.0-alpha.1", "v1.1.0-rc.1", "v1.1.0", "v1.2.0-beta.1", "v1.10.0", "latest", "v1.1.0+x", "x1.1.5"]


@pytest.mark.parametrize(
    ("version", "previous"),
    [
        ("1.0.0", None),
        ("1.1.0a1", "v1.0.0"),
        ("1.1.0rc1", "v1.0.0"),
        ("1.1.0rc2", "v1.1.0-rc.1"),
        ("1.1.0", "v1.0.0"),
        ("1.2.0a1", "v1.1.0"),
        ("1.2.0", "v1.1.0"),
        ("1.11.0", "v1.10.0"),
        ("1.1.0a2", "v1.1.0-alpha.1"),
    ],
)
def test_the_previous_release_is_what_the_same_sites_saw(version: str, previous: str | None) -> None:
    assert previous_tag(TAGS, version, "v") == previous
    assert previous_tag(TAGS[::-1], version, "v") == previous


def test_two_tags_of_one_version_always_give_the_same() -> None:
    assert previous_tag(["v1.0.0rc1", "v1.0.0-rc.1"], "1.0.0rc2", "v") == "v1.0.0rc1"
    assert previous_tag(["v1.0.0-rc.1", "v1.0.0rc1"], "1.0.0rc2", "v") == "v1.0.0rc1"
