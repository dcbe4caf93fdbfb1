"""The real client against a real nginx: ranges, twins that share an ETag, limits, refusals, caches and crashes."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.server import LoopbackServer
from tests.torture.figures import Figures
from tests.torture.network import answers
from tests.torture.network.nginx import Nginx, write_files
from tests.torture.network.runner import core, documented_exit
from tests.torture.network.world import PATIENT, World, photograph, use_feed
from updater import Updater
from updater.cli.exits import exit_code
from updater.errors import (
    BlockedError,
    DownloadError,
    DownloadHTTPError,
    DownloadTimeoutError,
    DownloadTruncatedError,
    SchemaError,
    TargetMismatchError,
    UpdaterError,
)
from updater.transport import HTTPTransport, Limits


class Stage:
    """A published site on disk, a site that follows it, and verbs."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.www = write_files(folder / "www", world.files)
        self.package = self.www / world.package
        self.site = world.copy_site(folder / "site", "http://127.0.0.1:9/")
        self.size = world.new.size
        self._servers = 0

    def nginx(self, server: str = "", *, http: str = "", package: str = "") -> Nginx:
        """A new nginx; ``package`` are directives for the new package alone."""
        self._servers += 1
        if package:
            server += f" location = /{self.world.package} {{ {package} }}"
        return Nginx(self.folder / f"nginx{self._servers}", self.www, server, http=http)

    def update(self, nginx: Nginx, *, limits: Limits = PATIENT, headers: dict[str, str] | None = None) -> None:
        """What `updater update --yes` does."""
        use_feed(self.site, nginx.url)
        with HTTPTransport(limits, headers_for=lambda url: headers or {}) as transport:
            updater = Updater(self.site, transport=transport)
            updater.install(updater.plan(automatic=True))

    def fails(self, nginx: Nginx, kind: type[UpdaterError], *, code: int = 0, limits: Limits = PATIENT) -> UpdaterError:
        """An update that must end with this error, and change nothing."""
        tree, state = photograph(self.site), core(self.site)
        try:
            self.update(nginx, limits=limits)
        except kind as error:
            assert photograph(self.site) == tree
            assert core(self.site) == state
            assert error.hint
            assert exit_code(error) == (code or documented_exit(kind))
            return error
        raise AssertionError(f"{kind.__name__} was expected")

    @property
    def part(self) -> Path:
        """Where an unfinished download lies."""
        return self.site / f".updater/downloads/1.1.0-{self.world.new.sha256[:16]}.zip.part"

    def put_part(self, data: bytes) -> None:
        """As an earlier attempt left it."""
        self.part.parent.mkdir(mode=0o700)
        self.part.write_bytes(data)

    def is_new(self) -> bool:
        """Whether the site is the new release, and nothing but that."""
        return self.world.is_new(photograph(self.site)) and not self.part.parent.exists()

    def downloads(self, nginx: Nginx) -> list[tuple[str, int, int]]:
        """Range, status and bytes of each request for the package, but for the small one for its manifest."""
        tail = f"bytes={self.world.new.tail_offset}-{self.size - 1}"
        return [(one.range, one.status, one.sent) for one in nginx.asked(self.world.package) if one.range != tail]


def resume(stage: Stage) -> None:
    """Half is here: exactly the other half is fetched."""
    half = stage.size // 2
    stage.put_part(stage.world.new.package[:half])
    with stage.nginx() as nginx:
        stage.update(nginx)
        assert stage.downloads(nginx) == [(f"bytes={half}-", 206, stage.size - half)]


def limit_rate(stage: Stage) -> None:
    """A slow server and a deadline: the first start brings a part, the next ones go on with it."""
    package = stage.world.new.package
    config = stage.site / "updater.toml"
    settings = config.read_text()
    config.write_text(f"{settings}\n[download]\ndeadline = 1\n")
    with stage.nginx(package="limit_rate 60k;") as slow:
        stage.fails(slow, DownloadTimeoutError)
        part = stage.part.read_bytes()
        assert 0 < len(part) < stage.size
        assert package.startswith(part)
    config.write_text(settings)
    with stage.nginx() as nginx:
        stage.update(nginx)
        assert stage.downloads(nginx) == [(f"bytes={len(part)}-", 206, stage.size - len(part))]


def minimum_rate(stage: Stage) -> None:
    """Slower than is allowed: given up soon, although bytes keep coming."""
    began = time.monotonic()
    with stage.nginx(package="limit_rate 2k;") as slow:
        stage.fails(slow, DownloadTimeoutError, limits=Limits(total=600, min_rate=20_000, window=1, grace=1))
    assert time.monotonic() - began < 30
    with stage.nginx() as nginx:
        stage.update(nginx)


def etag_twins(stage: Stage) -> None:
    """Two releases of one size and one modification time have one ETag: only the digest sees the splice."""
    twin = hashlib.shake_256(b"twin").digest(stage.size)
    half = stage.size // 2
    stage.put_part(twin[:half])
    with stage.nginx() as nginx:
        present = requests.get(nginx.url + stage.world.package, timeout=10).headers["ETag"]
        write_files(stage.www, {stage.world.package: twin})
        assert requests.get(nginx.url + stage.world.package, timeout=10).headers["ETag"] == present
        write_files(stage.www, {stage.world.package: stage.world.new.package})
        spliced = requests.get(
            nginx.url + stage.world.package, headers={"Range": f"bytes={half}-", "If-Range": present}, timeout=10
        )
        assert spliced.status_code == 206  # no precondition would have helped
        nginx.asked()
        stage.update(nginx)
        assert stage.downloads(nginx) == [(f"bytes={half}-", 206, stage.size - half), ("", 200, stage.size)]


def replaced_while_it_is_read(stage: Stage) -> None:
    """The package on the server is exchanged for its twin and back: never installed, then all is well."""
    write_files(stage.www, {stage.world.package: hashlib.shake_256(b"twin").digest(stage.size)})
    with stage.nginx() as nginx:
        stage.fails(nginx, TargetMismatchError)
        assert not stage.part.exists()
        write_files(stage.www, {stage.world.package: stage.world.new.package})
        nginx.asked()
        stage.update(nginx)
        assert stage.downloads(nginx) == [("", 200, stage.size)]


def if_range_mismatch(stage: Stage) -> None:
    """A precondition that does not hold makes nginx send the whole: what is here is compared, not thrown away."""
    half = stage.size // 2
    stage.put_part(stage.world.new.package[:half])
    with stage.nginx() as nginx:
        stage.update(nginx, headers={"If-Range": '"another"'})
        assert stage.downloads(nginx) == [(f"bytes={half}-", 200, stage.size)]


def beyond_the_end(stage: Stage) -> None:
    """A shorter file (half an upload): 416, then a size that is not the signed one. The part stays."""
    half = stage.size // 2
    package = stage.world.new.package
    stage.put_part(package[:half])
    write_files(stage.www, {stage.world.package: package[: half - 1000]})
    with stage.nginx() as nginx:
        stage.fails(nginx, DownloadTruncatedError)
        assert [status for _, status, _ in stage.downloads(nginx)][:2] == [416, 200]
        assert stage.part.read_bytes() == package[:half]
        write_files(stage.www, {stage.world.package: package})
        nginx.asked()
        stage.update(nginx)
        assert stage.downloads(nginx) == [(f"bytes={half}-", 206, stage.size - half)]


def no_ranges(stage: Stage) -> None:
    """``max_ranges 0``: nginx ignores ranges, so that the manifest, too, comes out of the whole package."""
    stage.put_part(stage.world.new.package[: stage.size // 2])
    with stage.nginx("max_ranges 0;") as nginx:
        stage.update(nginx)
        asked = nginx.asked(stage.world.package)
        # The answer to the request for the manifest is given up as soon as it turns out to be the whole.
        assert [one.status for one in asked] == [200, 200]


def unavailable(stage: Stage) -> None:
    """503 with Retry-After: asked once and left alone, the reason told."""
    with stage.nginx(package='add_header Retry-After 3600 always; return 503 "later";') as nginx:
        error = stage.fails(nginx, DownloadHTTPError)
        assert "3600 seconds" in error.hint
        assert len(stage.downloads(nginx)) == 1
    with stage.nginx() as nginx:
        stage.update(nginx)


def too_many_requests(stage: Stage) -> None:
    """``limit_req``: refused with 429 right after the request for the manifest, served after a pause."""
    zone = "limit_req_zone $binary_remote_addr zone=few:1m rate=2r/s;"
    with stage.nginx(http=zone, package="limit_req zone=few; limit_req_status 429;") as nginx:
        stage.update(nginx)
        statuses = [status for _, status, _ in stage.downloads(nginx)]
    assert statuses[0] == 429
    assert statuses[-1] == 200


def redirect_loop(stage: Stage) -> None:
    """Every request leads back to itself."""
    with stage.nginx(package="return 302 $request_uri;") as nginx:
        stage.fails(nginx, DownloadError)
        assert len(nginx.asked(stage.world.package)) <= 6 * 5
    with stage.nginx() as nginx:
        stage.update(nginx)


def redirect_to_a_store(stage: Stage) -> None:
    """As hosts do whose files lie elsewhere: the range goes along."""
    half = stage.size // 2
    stage.put_part(stage.world.new.package[:half])
    write_files(stage.www, {"store/file": stage.world.new.package})
    with stage.nginx(package="return 302 /store/file?signature=secret;") as nginx:
        stage.update(nginx)
        found = [one for one in nginx.asked("store/file") if one.range == f"bytes={half}-"]
    assert [(one.status, one.sent) for one in found] == [(206, stage.size - half)]


def bad_gateway(stage: Stage) -> None:
    """A proxy whose server behind it is down."""
    with stage.nginx(package="proxy_pass http://127.0.0.1:9;") as nginx:
        error = stage.fails(nginx, DownloadHTTPError)
        assert isinstance(error, DownloadHTTPError)
        assert error.status == 502
    with stage.nginx() as nginx:
        stage.update(nginx)


def cut_behind_a_proxy(stage: Stage) -> None:
    """A proxy that has announced the length before the server behind it broke off."""
    with LoopbackServer({stage.world.package: stage.world.new.package}) as behind:
        behind.behaviours[stage.world.package] = answers.cut(stage.size // 2)
        with stage.nginx(package=f"proxy_pass {behind.url.rstrip('/')};") as nginx:
            stage.fails(nginx, DownloadTruncatedError)
    part = stage.part.read_bytes()
    assert stage.world.new.package.startswith(part)
    with stage.nginx() as nginx:
        stage.update(nginx)
        assert stage.downloads(nginx)[-1][2] == stage.size - len(part)


def single_page_app(stage: Stage) -> None:
    """A host that answers every missing file with its start page: no root of trust, and told so."""
    write_files(stage.www, {"index.html": b"<!DOCTYPE html><title>Shop</title>\n"})
    with stage.nginx("location / { try_files $uri /index.html; }") as nginx:
        stage.fails(nginx, SchemaError)
    with stage.nginx() as nginx:
        stage.update(nginx)


def missing_package_page(stage: Stage) -> None:
    """A 404 page that is sent with 200."""
    stage.package.unlink()
    write_files(stage.www, {"sorry.html": b"<!DOCTYPE html><title>Not found</title>\n"})
    with stage.nginx("error_page 404 =200 /sorry.html;", package="try_files $uri =404;") as nginx:
        stage.fails(nginx, SchemaError)  # the next root is missing as well, and is a page now
    with stage.nginx(package="error_page 404 =200 /sorry.html; try_files $uri =404;") as nginx:
        stage.fails(nginx, DownloadTruncatedError)
        assert not stage.part.exists()
    write_files(stage.www, stage.world.files)
    with stage.nginx() as nginx:
        stage.update(nginx)


def stale_edge(stage: Stage) -> None:
    """A cache in between that still has the old timestamp, after this site has seen the new one."""
    write_files(stage.www, stage.world.older_files)
    caching = f"proxy_cache_path {stage.folder}/cache keys_zone=edge:1m;"
    with stage.nginx() as origin:
        pass_on = f"proxy_pass {origin.url.rstrip('/')}; proxy_cache edge; proxy_cache_valid 200 10m;"
        with stage.nginx(f"location /metadata/timestamp.json {{ {pass_on} }}", http=caching) as edge:
            assert requests.get(edge.url + "metadata/timestamp.json", timeout=10).status_code == 200
            write_files(stage.www, stage.world.files)
            use_feed(stage.site, origin.url)
            with HTTPTransport(PATIENT) as transport:
                assert Updater(stage.site, transport=transport).check().update_available
            error = stage.fails(edge, BlockedError, code=6)
            assert "older than this site has already seen" in " ".join(error.reasons)  # type: ignore[attr-defined]
            stage.update(origin)


def killed_and_back(stage: Stage) -> None:
    """The server is killed while it sends, and comes back: the next start fetches the rest."""
    with stage.nginx(package="limit_rate 100k;") as nginx:
        killer = threading.Thread(target=_kill_when, args=(nginx, stage.part), daemon=True)
        killer.start()
        stage.fails(nginx, DownloadError)
        killer.join(20)
        part = stage.part.read_bytes()
        assert 0 < len(part) < stage.size
        nginx.start()
        nginx.asked()
        stage.update(nginx)
        assert stage.downloads(nginx) == [(f"bytes={len(part)}-", 206, stage.size - len(part))]


def _kill_when(nginx: Nginx, part: Path) -> None:
    until = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < until:
        time.sleep(0.01)
    nginx.stop(signal.SIGKILL)


def no_keep_alive(stage: Stage) -> None:
    """Every connection is closed after its answer."""
    with stage.nginx("keepalive_timeout 0;") as nginx:
        stage.update(nginx)


def compression_on(stage: Stage) -> None:
    """``gzip on`` for everything: nginx heeds that the client ruled it out."""
    with stage.nginx("gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;") as nginx:
        stage.update(nginx)


PLAYS = (
    resume, limit_rate, minimum_rate, etag_twins, replaced_while_it_is_read, if_range_mismatch, beyond_the_end,
    no_ranges, unavailable, too_many_requests, redirect_loop, redirect_to_a_store, bad_gateway, cut_behind_a_proxy,
    single_page_app, missing_package_page, stale_edge, killed_and_back, no_keep_alive, compression_on,
)  # fmt: skip
SAMPLE = (resume, etag_twins, if_range_mismatch, beyond_the_end, no_ranges)


def run_play(play: Callable[[Stage], None], world: World, folder: Path) -> None:
    """One of them, in a folder of its own; it must end with the new release and nothing left behind."""
    folder.mkdir()
    stage = Stage(world, folder)
    play(stage)
    assert stage.is_new()


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("play", SAMPLE, ids=lambda play: play.__name__)
def test_nginx(play: Callable[[Stage], None], world: World, tmp_path: Path) -> None:
    run_play(play, world, tmp_path / "play")


@pytest.mark.torture
def test_all_of_nginx(world: World, tmp_path: Path) -> None:
    """With the pauses that users have."""
    with Figures("network, nginx") as figures:
        for play in PLAYS:
            figures.add()
            try:
                run_play(play, world, tmp_path / play.__name__)
            except (AssertionError, UpdaterError) as error:
                figures.wrong(f"{play.__name__}: {error}")
