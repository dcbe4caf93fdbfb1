"""Credentials go to their host and nowhere else: not to where it redirects, not into messages, not to other users."""

from __future__ import annotations

import base64
import io
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import server as faults
from tests.support.packages import make_package
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from updater import set_up_site
from updater.cli import main
from updater.credentials import Credential, Credentials, check_host, read_credentials, write_credentials
from updater.errors import ConfigError

SECRET = "s3cret-that-nobody-else-sees"


class Private:
    """A site at 1.0.0 whose feed has 1.1.0, and the server that it asks."""

    def __init__(self, path: Path, server: LoopbackServer) -> None:
        self.path = path
        self.server = server
        self.host = server.url.removeprefix("http://").rstrip("/")

    def run(self, *words: str) -> int:
        return main([*words, "--site", str(self.path)])

    def login(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{SECRET}\n".encode())))
        return self.run("login", self.host, *words)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Private]:
    publisher = SitePublisher()
    publisher.publish(make_package({"a.txt": b"1"}, version="1.0.0"))
    with publisher.serving() as server:
        path = tmp_path / "site"
        path.mkdir()
        (path / "updater.toml").write_text(f'[feed]\nurl = "{server.url}stable.json"\n', encoding="utf-8")
        set_up_site(f"{server.url}stable.json", path, root=publisher.root)
        publisher.publish(make_package({"a.txt": b"2"}, version="1.1.0"))
        server.requests.clear()
        yield Private(path, server)


def sent(server: LoopbackServer, header: str = "authorization") -> set[str | None]:
    return {request.headers.get(header) for request in server.requests}


@pytest.mark.parametrize(
    ("words", "header", "value"),
    [
        ((), "authorization", f"Bearer {SECRET}"),
        (("--user", "ada"), "authorization", "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode()),
        (("--header", "X-API-Key"), "x-api-key", SECRET),
    ],
)
def test_what_was_kept_is_sent_with_everything_that_is_asked(
    private: Private, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words, header: str, value: str
):
    assert private.login(monkeypatch, *words) == 0
    assert stat.S_IMODE((private.path / ".updater/credentials.toml").stat().st_mode) == 0o600
    assert private.run("check", "--json") == 0
    assert private.run("update", "--yes", "-v") == 0
    assert private.run("doctor") in (0, 1)
    assert sent(private.server, header) == {value}
    assert private.run("login") == 0
    said = capfd.readouterr()
    assert private.host in said.out
    assert SECRET not in said.out + said.err
    for name in ("history.jsonl", "status.json", "journal"):
        path = private.path / ".updater" / name
        assert not path.exists() or SECRET not in path.read_text()


def test_it_does_not_follow_a_redirect(private: Private, monkeypatch: pytest.MonkeyPatch):
    package = "packages/shop-1.1.0.zip"
    content = private.server.files[package]
    assert private.login(monkeypatch) == 0
    with LoopbackServer({package: content}) as elsewhere:
        for path in (package, "packages/shop-1.1.0.index"):
            private.server.behaviours[path] = faults.redirect(elsewhere.url + path)
        assert private.run("update", "--yes") == 0
        assert elsewhere.requests
        assert sent(elsewhere) == {None}
    assert sent(private.server) == {f"Bearer {SECRET}"}


def test_the_environment_names_the_host(private: Private, monkeypatch: pytest.MonkeyPatch):
    name = "UPDATER_TOKEN_" + private.host.replace(".", "_").replace(":", "_")
    monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("UPDATER_TOKEN_ACME_EXAMPLE", "another")
    assert private.run("check") == 0
    assert sent(private.server) == {f"Bearer {SECRET}"}


def test_a_first_install_asks_with_it_too(private: Private, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("UPDATER_TOKEN_" + private.host.replace(".", "_").replace(":", "_"), SECRET)
    assert main(["install", f"{private.server.url}stable.json", str(tmp_path / "new"), "--yes"]) == 0
    assert sent(private.server) == {f"Bearer {SECRET}"}


def test_a_host_can_be_forgotten(private: Private, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert private.login(monkeypatch) == 0
    assert private.run("logout", private.host) == 0
    assert not (private.path / ".updater/credentials.toml").exists()
    assert private.run("logout", private.host) == 2
    assert private.run("check") == 0
    assert sent(private.server) == {None}
    assert SECRET not in "".join(capsys.readouterr())


def test_a_file_that_others_may_read_is_refused(tmp_path: Path):
    write_credentials(tmp_path, {"acme.example": Credential(SECRET)})
    (tmp_path / "credentials.toml").chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others") as caught:
        read_credentials(tmp_path, {})
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        '["acme.example"]\n',
        '["acme.example"]\nsecret = 5\n',
        f'["acme.example"]\nsecret = "{SECRET}"\nother = "x"\n',
        f'["acme.example"]\nsecret = "{SECRET}"\nuser = "a"\nheader = "b"\n',
        f'["/"]\nsecret = "{SECRET}"\n',
        f'"acme.example" = "{SECRET}"\n',
        "= \n",
    ],
)
def test_what_makes_no_sense_is_refused_and_not_repeated(tmp_path: Path, text: str):
    path = tmp_path / "credentials.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        read_credentials(tmp_path, {})
    assert SECRET not in str(caught.value) + caught.value.hint


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)


@given(PRINTABLE, st.sampled_from(["", "ada", "Ada L."]), st.booleans())
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, secret: str, user: str, header: bool):
    folder = tmp_path_factory.mktemp("kept")
    kept = {"acme.example:8443": Credential(secret, user="" if header else user, header="X-Key" if header else "")}
    write_credentials(folder, kept)
    assert read_credentials(folder, {}).hosts == kept
    assert secret not in repr(kept) or secret in "Credential(bearer token)user header X-Key acme.example:8443 {'': }"


@pytest.mark.parametrize("secret", ["", "two\nlines", "é"])
def test_a_secret_that_no_header_can_hold_is_refused(secret: str):
    with pytest.raises(ValueError):
        Credential(secret)


def test_hosts_are_told_apart():
    known = Credentials({"acme.example": Credential("one"), "acme.example:8443": Credential("two")}, {})
    assert known.headers_for("https://acme.example/a") == {"Authorization": "Bearer one"}
    assert known.headers_for("https://acme.example:8443/a") == {"Authorization": "Bearer two"}
    for url in ("https://other.example/", "https://acme.example:1/", "https://acme.example.evil.example/", "nonsense"):
        assert known.headers_for(url) == {}
    asset = "https://api.github.com/repos/acme/shop/releases/assets/1"
    assert known.headers_for(asset) == {"Accept": "application/octet-stream"}
    with pytest.raises(ValueError):
        check_host("https://acme.example")
