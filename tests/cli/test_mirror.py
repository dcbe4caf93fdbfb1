"""A mirror: everything of a feed, verified; behind a plain nginx, on a disk without a network, never an older one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sites import package, publish
from tests.support.site_publisher import SitePublisher
from tests.torture.network.nginx import Nginx
from updater import Updater
from updater.cli.exits import Exit
from updater.mirror import make_mirror


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def mirror(run, feed, tmp_path) -> Path:
    directory = tmp_path / "mirror"
    done = run("mirror", feed, directory, "--yes")
    assert done.code == 0, done.err
    assert "3 releases of shop (stable)" in done.out
    return directory


def forget_network(site: Path, base: str) -> None:
    """Point a site to a server that is not there."""
    settings = site / "updater.toml"
    settings.write_text(settings.read_text().replace(base, "http://127.0.0.1:9/"))


def test_it_has_all_that_sites_ask_for_and_a_second_run_fetches_nothing(run, feed, mirror, server):
    assert {"root.json", "stable.json", "metadata/timestamp.json", "metadata/1.root.json"} < names(mirror)
    assert len([name for name in names(mirror) if name.startswith("packages/") and name.endswith(".zip")]) == 3
    before = {name: (mirror / name).stat().st_mtime_ns for name in names(mirror)}
    server.requests.clear()
    done = run("mirror", feed, mirror, "--json")  # vouched for by the mirror itself now
    assert json.loads(done.out)["fetched"] == 0
    assert not [request for request in server.requests if request.path.endswith(".zip")]
    assert {name: (mirror / name).stat().st_mtime_ns for name in names(mirror)} == before


def test_a_site_updates_from_it_behind_a_plain_nginx(run, site, mirror, server, tmp_path):
    settings = site / "updater.toml"
    with Nginx(tmp_path / "nginx", mirror) as nginx:
        text = settings.read_text().replace(server.url, nginx.url)
        settings.write_text(f'{text}\n[download]\nmirrors = ["{nginx.url}packages/"]\n')
        server.requests.clear()
        assert run("update", "--yes", "--site", site).code == 0
        assert Updater(site).site.state().version == "1.2.0"
        assert server.requests == []
        assert any(one.path.startswith("/packages/") and one.status in (200, 206) for one in nginx.asked())


def test_a_site_without_a_network_takes_it_from_a_disk(run, site, mirror, server, tmp_path):
    forget_network(site, server.url)
    assert "stale" in run("check", "--site", site).err
    assert "1.2.0 is available" in run("check", "--site", site, "--from", mirror).out
    server.requests.clear()
    assert run("update", "--yes", "--site", site, "--from", mirror).code == 0
    assert Updater(site).site.state().version == "1.2.0"
    fresh = tmp_path / "fresh"
    root = mirror / "root.json"
    done = run("install", "http://127.0.0.1:9/stable.json", fresh, "--root", root, "--from", mirror)
    assert done.code == 0, done.err
    assert server.requests == []


@pytest.mark.parametrize("what", ["packages/*1.2.0*", "metadata/timestamp.json"])
def test_what_was_changed_on_the_disk_is_not_installed(run, site, mirror, server, what):
    forget_network(site, server.url)
    for path in mirror.glob(what):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert run("update", "--yes", "--site", site, "--from", mirror).code in (Exit.VERIFICATION, Exit.BLOCKED)
    assert Updater(site).site.state().version == "1.1.0"


def test_what_is_no_mirror_is_told(run, site, tmp_path):
    done = run("update", "--yes", "--site", site, "--from", tmp_path)
    assert done.code == Exit.USAGE
    assert "is no mirror" in done.err


@pytest.fixture
def growing(tmp_path):
    """A feed of its own, which goes on."""
    publisher = SitePublisher()
    publish(publisher, "1.0.0")
    with publisher.serving() as server:
        yield publisher, server


def test_it_follows_the_feed_and_forgets_what_that_forgets(run, growing, tmp_path):
    publisher, server = growing
    directory = tmp_path / "mirror"
    url = f"{server.url}stable.json"
    assert run("mirror", url, directory, "--yes").code == 0
    publish(publisher, "1.1.0")
    publisher.set_releases([release for release in publisher.feeds["stable"].releases if release.version == "1.1.0"])
    done = run("mirror", url, directory, "--prune", "--json")
    told = json.loads(done.out)
    assert told["versions"] == ["1.1.0"]
    assert told["removed"] > 0
    assert not [name for name in names(directory) if "1.0.0" in name]
    assert "metadata/1.root.json" in names(directory)
    publisher.publish(package("1.2.0"), "beta")
    assert run("mirror", url, directory).code == 0
    assert not (directory / "beta.json").exists()
    assert run("mirror", f"{server.url}beta.json", directory).code == 0
    publish(publisher, "1.2.0")
    assert json.loads(run("mirror", f"{server.url}beta.json", directory, "--json").out)["channel"] == "beta"
    assert "1.2.0" in (directory / "stable.json").read_text()  # refreshed with it


def test_an_older_timestamp_is_refused(run, growing, tmp_path):
    publisher, server = growing
    directory = tmp_path / "mirror"
    url = f"{server.url}stable.json"
    old = dict(publisher.files)
    publish(publisher, "1.1.0")
    assert run("mirror", url, directory, "--yes").code == 0
    before = {name: (directory / name).read_bytes() for name in names(directory)}
    publisher.files.clear()
    publisher.files.update(old)
    done = run("mirror", url, directory)
    assert done.code == Exit.VERIFICATION
    assert "older timestamp" in done.err
    assert {name: (directory / name).read_bytes() for name in names(directory)} == before


def test_newest_limits_the_packages_and_nobody_is_trusted_without_a_word(run, feed, tmp_path):
    directory = tmp_path / "mirror"
    assert run("mirror", feed, directory).code == Exit.USAGE
    assert run("mirror", feed, directory, "--yes", "--newest", "-1").code == Exit.USAGE
    assert json.loads(run("mirror", feed, directory, "--yes", "--newest", "1", "--json").out)["versions"] == ["1.2.0"]
    assert len([name for name in names(directory) if name.endswith(".zip")]) == 1


def test_a_package_that_is_not_the_signed_one_is_not_kept(run, growing, tmp_path):
    publisher, server = growing
    directory = tmp_path / "mirror"
    [url] = [name for name in publisher.files if name.endswith(".zip")]
    publisher.files[url] = publisher.files[url][:-1] + b"x"
    assert run("mirror", f"{server.url}stable.json", directory, "--yes").code == Exit.VERIFICATION
    assert not [name for name in names(directory) if name.endswith(".zip")]
    assert not (directory / "metadata" / "timestamp.json").exists()


def test_a_root_that_nothing_leads_to_is_not_believed(tmp_path):
    """The server shows it only after the client has looked: the next run must not begin with it."""
    publisher = SitePublisher()
    publish(publisher, "1.0.0")
    asked: list[str] = []

    class Turncoat:
        def open(self, url: str, **options: Any) -> Any:
            asked.append(url)
            if url.endswith("/2.root.json") and asked.count(url) > 1:
                return publisher.open(url.replace("2.root", "1.root"), **options)
            return publisher.open(url, **options)

    directory = tmp_path / "mirror"
    make_mirror(publisher.url, directory, Turncoat(), now=datetime.now(UTC), root=publisher.root)
    assert (directory / "root.json").read_bytes() == publisher.root
    assert "metadata/2.root.json" not in names(directory)
