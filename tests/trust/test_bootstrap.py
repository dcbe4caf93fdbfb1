"""Where trust begins."""

from __future__ import annotations

import pytest

from tests.support.trust_repository import LONG_AGO, TrustRepository
from updater.errors import ConfigError, DownloadError, DownloadHTTPError, FeedError, SchemaError, SignatureError
from updater.trust import fingerprint, obtain_root, validate_root


@pytest.fixture
def rotated(repository: TrustRepository) -> TrustRepository:
    repository.rotate("root")
    repository.rotate("online")
    return repository


def test_first_use_takes_the_newest(rotated: TrustRepository) -> None:
    root = obtain_root(rotated.location(), rotated)
    assert root == rotated.files["metadata/3.root.json"]
    assert validate_root(root) == 3
    assert [request.path for request in rotated.requests] == ["root.json"]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_by_fingerprint(rotated: TrustRepository, version: int) -> None:
    wanted = rotated.files[f"metadata/{version}.root.json"]
    digits = fingerprint(wanted)
    for spelling in (digits, digits.upper(), f"sha256:{digits}", " ".join(digits[i : i + 8] for i in range(0, 64, 8))):
        assert obtain_root(rotated.location(), rotated, sha256=spelling) == wanted


def test_by_fingerprint_without_the_copy(rotated: TrustRepository) -> None:
    del rotated.files["root.json"]
    wanted = rotated.files["metadata/2.root.json"]
    assert obtain_root(rotated.location(), rotated, sha256=fingerprint(wanted)) == wanted


def test_unknown_fingerprint_shows_both(rotated: TrustRepository) -> None:
    with pytest.raises(SignatureError) as caught:
        obtain_root(rotated.location(), rotated, sha256="ab" * 32)
    assert "ab" * 32 in str(caught.value)
    assert fingerprint(rotated.files["root.json"]) in str(caught.value)
    assert [request.path for request in rotated.requests][-1] == "metadata/4.root.json"


def test_no_root_at_all(repository: TrustRepository) -> None:
    repository.files.clear()
    for sha256 in (None, "ab" * 32):
        with pytest.raises(DownloadHTTPError):
            obtain_root(repository.location(), repository, sha256=sha256)


def test_trouble_on_the_way_is_not_a_mismatch(repository: TrustRepository) -> None:
    repository.faults["metadata/1.root.json"] = 503
    with pytest.raises(DownloadError):
        obtain_root(repository.location(), repository, sha256="ab" * 32)


def test_from_a_file(rotated: TrustRepository) -> None:
    root = rotated.root
    assert obtain_root(rotated.location(), rotated, root=root) == root
    assert obtain_root(rotated.location(), rotated, root=root, sha256=fingerprint(root)) == root
    assert rotated.requests == []
    with pytest.raises(SignatureError):
        obtain_root(rotated.location(), rotated, root=root, sha256="ab" * 32)


@pytest.mark.parametrize("text", ["", "ab", "xy" * 32, "ab" * 33])
def test_not_a_fingerprint(repository: TrustRepository, text: str) -> None:
    with pytest.raises(ConfigError):
        obtain_root(repository.location(), repository, sha256=text)


@pytest.mark.parametrize("root", [b"", b"{}", b"<html>", b"[" * 100_000, b'{"signed":{},"signatures":[]}'])
def test_not_a_root(repository: TrustRepository, root: bytes) -> None:
    with pytest.raises(SchemaError):
        obtain_root(repository.location(), repository, root=root)


def test_other_metadata_is_not_a_root(repository: TrustRepository) -> None:
    with pytest.raises(FeedError):
        validate_root(repository.files["metadata/timestamp.json"])


def test_a_root_needs_its_threshold(repository: TrustRepository) -> None:
    validate_root(repository.sign("root"))
    with pytest.raises(SignatureError):
        validate_root(repository.sign("root", repository.signers["root"][0]))


def test_an_expired_root_still_leads_on(repository: TrustRepository) -> None:
    repository.set_expiry("root", LONG_AGO)
    assert validate_root(repository.files["root.json"]) == 2
