"""Versions, channels, names, URLs, times and globs: the small vocabularies (docs/formats.md section 1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from updater.schema import channel_of, format_time, parse_time
from updater.schema.text import check_digest, check_name, check_url_reference, check_version


@pytest.mark.parametrize(
    ("version", "channel"),
    [
        *(("1.2.0", "stable"), ("0.1", "stable"), ("2026.1", "stable"), ("1.0.post1", "stable")),
        *(("1.2.0rc1", "beta"), ("1.2.0b1", "beta"), ("1.2.0b1.post2", "beta")),
        *(("1.2.0a3", "alpha"), ("1.2.0.dev4", "alpha"), ("1.2.0rc1.dev2", "alpha"), ("1.2.0.post1.dev0", "alpha")),
    ],
)
def test_channels(version, channel):
    assert channel_of(version) == channel


@pytest.mark.parametrize(
    "version",
    [
        *(
            "",
            "v1.0",
            "1.0-beta.1",
            "1.0beta1",
            "1.0.b1",
            "1!1.0",
            "1.0+cpu",
            "1.0rc",
            "01.0",
            "1.00",
            "1.0.",
            ".1",
            "1..0",
        ),
        *("1.0\n", " 1.0", "1.0.dev", "1.0-1", "1.0B1", "١.٠", "1" * 19, ".".join("1" * 11), "latest"),
    ],
)
def test_versions_that_are_refused(version):
    with pytest.raises(ValueError, match="normal form"):
        check_version(version)
    with pytest.raises(ValueError, match="normal form"):
        channel_of(version)


@given(st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc)[0-9]{1,2})?(\.post[0-9])?(\.dev[0-9])?", fullmatch=True))
def test_accepted_versions_are_those_that_packaging_writes_the_same(text):
    normal = str(Version(text))
    check_version(normal)
    if text != normal:
        with pytest.raises(ValueError, match="normal form"):
            check_version(text)


@pytest.mark.parametrize("name", ["shop", "a", "0", "my-app_2.core", "a" * 64])
def test_names(name):
    check_name(name)


@pytest.mark.parametrize("name", ["", "Shop", "-a", ".a", "_a", "a b", "a/b", "é", "a\n", "a" * 65])
def test_names_that_are_refused(name):
    with pytest.raises(ValueError, match="1 to 64"):
        check_name(name)


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "ab" * 32 + "\n", "0x" + "a" * 62, "a" * 65, "١" * 64])
def test_digests_that_are_refused(digest):
    check_digest("0123456789abcdef" * 4)
    with pytest.raises(ValueError, match="64 lower-case"):
        check_digest(digest)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://acme.example/a.zip",
            "HTTPS://acme.example/",
            "https://acme.example:8443/a?b=c#d",
            "https://[2001:db8::1]/a",
        ),
        *("http://localhost/a", "http://127.0.0.1:8000/", "http://[::1]:80/x"),
        *("packages/shop-1.0.zip", "a", "./a", "a/b..c", "a%20b", "größe.zip"),
    ],
)
def test_url_references(url):
    check_url_reference(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://acme.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "ftp://acme.example/",
        ),
        *("file:///etc/passwd", "javascript:alert(1)", "data:,x", "https://", "https:///a", "https:a", "https://[::1"),
        *(
            "//acme.example/a",
            "/a",
            "../a",
            "a/../../b",
            "a/..",
            "%2e%2e/a",
            "a/%2E%2E/b",
            "a\\b",
            "https://acme.example\\@evil",
        ),
        *("https://acme.example/a b", "https://acme.example/\n", "https://acme.example/\x7f", " https://acme.example/"),
        *("https://acme.example:99999/", "https://acme.example:x/"),
    ],
)
def test_url_references_that_are_refused(url):
    with pytest.raises(ValueError, match=r"."):
        check_url_reference(url)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
                    min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)))  # fmt: skip
def test_times_survive(moment):
    text = format_time(moment)
    assert parse_time(text) == moment.replace(microsecond=0)
    assert format_time(parse_time(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "2026-01-20",
            "2026-01-20T10:00:00",
            "2026-01-20T10:00:00+00:00",
            "2026-01-20T10:00:00.5Z",
            "2026-1-20T10:00:00Z",
        ),
        *("2026-02-30T10:00:00Z", "2026-01-20T24:00:00Z", "2026-01-20T10:00:60Z", "0000-01-01T00:00:00Z"),
        *("2026-01-20t10:00:00z", "2026-01-20T10:00:00Z\n", "٢٠٢٦-01-20T10:00:00Z"),
    ],
)
def test_times_that_are_refused(text):
    with pytest.raises(ValueError, match="time"):
        parse_time(text)
