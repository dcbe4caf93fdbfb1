"""Our signatures against the stock minisign program, and ours against tampering."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from feedgen import minisign
from feedgen.errors import SigningError
from tests.support.require import require

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    package = tmp_path / "shop-1.0.0.zip"
    package.write_bytes(b"package" * 100_000)
    text = minisign.sign(package, KEY, file_name=package.name, timestamp=1_768_896_000)
    Path(f"{package}.minisig").write_text(text)
    (tmp_path / "minisign.pub").write_text(minisign.public_key_text(PUBLIC))
    return package


def stock(package: Path) -> subprocess.CompletedProcess[str]:
    program = require("minisign", "minisign")
    key = package.with_name("minisign.pub")
    return subprocess.run([program, "-Vm", package, "-p", key], check=False, capture_output=True, text=True)


def test_the_stock_program_accepts(signed: Path) -> None:
    done = stock(signed)
    assert done.returncode == 0, done.stderr
    assert "Trusted comment: timestamp:1768896000\tfile:shop-1.0.0.zip\thashed" in done.stdout


def test_the_stock_program_names_the_same_key(signed: Path, tmp_path: Path) -> None:
    shown = (tmp_path / "minisign.pub").read_text().splitlines()[0]
    other = minisign.public_key_text(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    (tmp_path / "minisign.pub").write_text(other)
    done = stock(signed)
    assert done.returncode != 0
    assert shown.rpartition(" ")[2] in done.stderr


def tamper_file(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:-1] + b"!")


def tamper_comment(package: Path) -> None:
    signature = Path(f"{package}.minisig")
    signature.write_text(signature.read_text().replace("shop-1.0.0", "shop-9.0.0"))


@pytest.mark.parametrize("tamper", [tamper_file, tamper_comment])
def test_both_refuse_what_was_changed(signed: Path, tamper: object) -> None:
    assert callable(tamper)
    tamper(signed)
    assert stock(signed).returncode != 0
    with pytest.raises(SigningError, match="does not match"):
        minisign.verify(signed, Path(f"{signed}.minisig").read_text(), minisign.public_key_text(PUBLIC))


def test_signing_is_deterministic_and_streams_the_same(signed: Path) -> None:
    text = Path(f"{signed}.minisig").read_text()
    same = minisign.sign(signed.read_bytes(), KEY, file_name=signed.name, timestamp=1_768_896_000)
    assert same == text
    comment = minisign.verify(signed.read_bytes(), text, minisign.public_key_text(PUBLIC))
    assert comment == "timestamp:1768896000\tfile:shop-1.0.0.zip\thashed"


def test_verify_accepts_what_the_stock_program_signs(tmp_path: Path) -> None:
    program = require("minisign", "minisign")
    public, secret, file = tmp_path / "p", tmp_path / "s", tmp_path / "f"
    file.write_bytes(b"data")
    subprocess.run([program, "-GW", "-p", public, "-s", secret], check=True, capture_output=True)
    subprocess.run([program, "-SHm", file, "-s", secret, "-t", "hello"], check=True, capture_output=True)
    assert minisign.verify(file, (tmp_path / "f.minisig").read_text(), public.read_text()) == "hello"


def test_what_is_no_signature_is_refused() -> None:
    key, text = minisign.public_key_text(PUBLIC), minisign.sign(b"x", KEY, file_name="x", timestamp=0)
    lines = text.split("\n")
    for broken, reason in [
        ("", "not a minisign"),
        ("\n".join([lines[0], "????", *lines[2:]]), "not base64"),
        ("\n".join([lines[0], lines[3], *lines[2:]]), "has 64 bytes"),
        ("\n".join([lines[0], lines[1].replace("RU", "RW", 1), *lines[2:]]), "prehashed"),
    ]:
        with pytest.raises(SigningError, match=reason):
            minisign.verify(b"x", broken, key)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(SigningError, match="another key"):
        minisign.verify(b"x", text, minisign.public_key_text(other))
    with pytest.raises(SigningError, match="32 bytes"):
        minisign.public_key_text(b"short")
    with pytest.raises(SigningError, match="comment"):
        minisign.sign(b"x", KEY, file_name="a\nb", timestamp=0)
