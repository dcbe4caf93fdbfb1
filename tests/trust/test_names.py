"""Feed addresses, and how light the package is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from updater.errors import ConfigError
from updater.trust.names import FeedLocation, feed_copy, metadata_file


def test_places() -> None:
    location = FeedLocation.parse(" https://acme.github.io/shop/stable.json\n")
    assert location == FeedLocation("https://acme.github.io/shop/", "stable")
    assert location.url == "https://acme.github.io/shop/stable.json"
    assert location.metadata_url == "https://acme.github.io/shop/metadata/"
    assert location.feeds_url == "https://acme.github.io/shop/feeds/"
    assert location.root_url == "https://acme.github.io/shop/root.json"
    assert feed_copy("beta", "ab") == "feeds/ab.beta.json"
    assert metadata_file("root", 3) == "metadata/3.root.json"
    assert metadata_file("timestamp") == "metadata/timestamp.json"


@pytest.mark.parametrize("url", ["https://example.org/beta.json", "http://127.0.0.1:8000/x/alpha.json"])
def test_good_addresses(url: str) -> None:
    assert FeedLocation.parse(url).url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.org/stable.json", "not https"),
        ("ftp://example.org/stable.json", "not https"),
        ("example.org/stable.json", "not a complete URL"),
        ("", "not a complete URL"),
        ("https://[x/stable.json", "not a complete URL"),
        ("https://example.org/shop", "does not end"),
        ("https://example.org/shop/", "does not end"),
        ("https://example.org/nightly.json", "unknown channel"),
        ("https://example.org/.json", "unknown channel"),
        ("https://example.org/Stable.json", "unknown channel"),
        ("https://example.org/stable.json?x=1", "after the file name"),
        ("https://example.org/stable.json?", "after the file name"),
        ("https://example.org/stable.json#x", "after the file name"),
        ("https://me:secret@example.org/stable.json", "password"),
        ("https://example.org/a/../stable.json", "'..'"),
        ("https://example.org/a/%2e%2e/stable.json", "'..'"),
    ],
)
def test_bad_addresses(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        FeedLocation.parse(url)
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def test_importing_costs_no_third_party_module() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import updater.transport, updater.trust, updater.trust.names, updater.trust.feed\n"
        "from updater.trust import FeedClient, FeedLocation, obtain_root; from updater.transport import download\n"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["updater"]


def test_every_public_name_exists() -> None:
    import updater.transport
    import updater.trust

    for package in (updater.transport, updater.trust):
        for name in package.__all__:
            assert getattr(package, name) is not None
        with pytest.raises(AttributeError):
            _ = package.nothing
