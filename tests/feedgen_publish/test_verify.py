"""``feedgen verify``: what is good, and every file that is not."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.feedgen_publish.conftest import App


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def served(published: App) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(published.site)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_url(published: App, served: str) -> None:
    for url in (served, f"{served}stable.json", served.rstrip("/")):
        output = published.run("verify", url).output
        assert "good" in output
    assert "verifies" in output
    published.run("verify", f"{served}nothing/", code=1)


def test_folder_without_a_project(published: App, tmp_path: Path) -> None:
    shutil.copytree(published.site, tmp_path / "copy")
    elsewhere = App(tmp_path, tmp_path)
    assert "verifies" in elsewhere.run("verify", str(tmp_path / "copy")).output
    assert "no folder" in elsewhere.run("verify", str(tmp_path / "missing"), code=2).output


def test_first_root_is_compared(published: App) -> None:
    output = published.run("verify").output
    digest = output.split("First root (SHA-256): ")[1].split()[0]
    published.run("verify", "--root-sha256", digest.upper())
    assert "its fingerprint is" in published.run("verify", "--root-sha256", "0" * 64, code=1).output
    assert "64 hex digits" in published.run("verify", "--root-sha256", "12", code=2).output


def live_files(app: App) -> list[str]:
    """Every file of a site that means something now."""
    dead = ("metadata/1.stable", "metadata/1.beta", "metadata/1.alpha", "metadata/1.snapshot")
    pages = (".html", ".css", ".svg", ".atom", ".xml", "page.json")
    quiet = (".nojekyll", "404.html", "superseded.json", "releases/1.0.0.toml")
    names = [name for name in app.snapshot() if name not in quiet and not name.startswith((*dead, "badges/"))]
    return [name for name in names if not name.endswith(pages)]


def test_every_change_is_found(published: App) -> None:
    for name in live_files(published):
        path = published.site / name
        good = path.read_bytes()
        middle = len(good) // 2
        path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
        result = published.run("verify", code=1)
        assert "does not verify" in result.output, name
        path.write_bytes(good)
    published.run("verify")


def test_every_missing_file_is_found(published: App) -> None:
    for name in live_files(published):
        path = published.site / name
        good = path.read_bytes()
        path.unlink()
        assert "Wrong" in published.run("verify", code=1).output, name
        path.write_bytes(good)


def test_all_findings_at_once(published: App) -> None:
    (published.site / "beta.json").write_bytes(b"{}")
    (published.site / "packages" / "shop-1.0.0.zip.minisig").write_text("nothing")
    output = published.run("verify", code=1).output
    assert "2 findings" in output
    assert "Wrong: beta.json: is not the signed feed" in output
    assert "Wrong: packages/shop-1.0.0.zip.minisig" in output


def test_unsigned_feed_is_found(app: App) -> None:
    (app.site / "stable.json").write_bytes(b"{}")
    assert "is there, but not signed" in app.run("verify", code=1).output


def test_publish_checks_what_it_wrote(published: App) -> None:
    (published.site / "packages" / "shop-1.0.0.zip.minisig").unlink()
    (published.site / "minisign.pub").write_text("untrusted comment: x\nAAAA\n")
    assert "minisign.pub" in published.run("publish", "v1.0.0", code=1).output


def test_self_check_error(published: App) -> None:
    (published.site / "metadata" / "1.root.json").chmod(0o644)
    path = published.site / "404.html"
    path.unlink()
    result = published.run("verify")
    assert "404.html is missing" in result.output
