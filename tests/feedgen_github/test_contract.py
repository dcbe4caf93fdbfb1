"""What every store promises, asked of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from feedgen.errors import PublishError
from feedgen.publish.store import LocalStore, Store
from tests.feedgen_github.conftest import Open, digest, page
from updater.transport import HTTPTransport

NAME = "shop-1.0.0.zip"
SIGNATURE = f"{NAME}.minisig"


@pytest.fixture(params=["folder", "relative", "github"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same store once more, as another run would."""
    if request.param == "github":
        opened: Open = request.getfixturevalue("opened")
        return lambda: opened().store
    base = "https://files.acme.example/shop/" if request.param == "folder" else "packages/"
    return lambda: LocalStore(tmp_path / "store", base)


def test_empty(again: Callable[[], Store]) -> None:
    store = again()
    assert store.find("v1.0.0", NAME) is None
    assert store.url("v1.0.0", NAME).endswith(NAME)


def test_publish_then_find(again: Callable[[], Store], files: dict[str, Path]) -> None:
    assert again().publish(page(), files) == (NAME, SIGNATURE)
    store = again()
    stored = store.find("v1.0.0", NAME)
    assert stored is not None
    assert (stored.size, stored.sha256, stored.public) == (files[NAME].stat().st_size, digest(files[NAME]), True)
    assert store.read("v1.0.0", SIGNATURE) == files[SIGNATURE].read_bytes()
    assert store.find("v1.0.0", "other.zip") is None


def test_the_same_bytes_stay(again: Callable[[], Store], files: dict[str, Path]) -> None:
    again().publish(page(), files)
    assert again().publish(page(), files) == ()


def test_one_of_two(again: Callable[[], Store], files: dict[str, Path]) -> None:
    again().publish(page(), {NAME: files[NAME]})
    assert again().publish(page(), files) == (SIGNATURE,)


def test_public_bytes_are_never_exchanged(again: Callable[[], Store], files: dict[str, Path], tmp_path: Path) -> None:
    again().publish(page(), files)
    (tmp_path / "other").write_bytes(b"other bytes")
    with pytest.raises(PublishError, match="already") as caught:
        again().publish(page(), {NAME: tmp_path / "other"}, replaceable=(SIGNATURE,))
    assert caught.value.hint
    stored = again().find("v1.0.0", NAME)
    assert stored is not None
    assert stored.sha256 == digest(files[NAME])


def test_a_signature_may_be_exchanged(again: Callable[[], Store], files: dict[str, Path], tmp_path: Path) -> None:
    again().publish(page(), files)
    (tmp_path / "other").write_bytes(b"a newer signature")
    changed = {NAME: files[NAME], SIGNATURE: tmp_path / "other"}
    assert again().publish(page(), changed, replaceable=(SIGNATURE,)) == (SIGNATURE,)
    assert again().read("v1.0.0", SIGNATURE) == b"a newer signature"


def test_routes_lead_to_the_bytes(again: Callable[[], Store], files: dict[str, Path]) -> None:
    store = again()
    store.publish(page(), files)
    url = store.url("v1.0.0", NAME)
    routes = [transport for prefix, transport in store.routes() if url.startswith(prefix)]
    if "://" not in url:
        assert routes == []
        return
    with routes[0].open(url, max_bytes=10**6) as response:
        assert b"".join(response.chunks) == files[NAME].read_bytes()
    for transport in routes:
        if isinstance(transport, HTTPTransport):
            transport.close()
