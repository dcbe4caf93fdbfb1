"""A real nginx on this machine (or in a network namespace), its settings, and what it was asked for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support.require import require

__all__ = ["Asked", "Nginx", "write_files"]

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_SETTINGS = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
    log_format asked escape=json '{{"path": "$uri", "range": "$http_range", "status": $status, '
        '"sent": $body_bytes_sent, "ended": $msec, "took": $request_time}}';
    access_log {folder}/access.log asked;
    types {{ application/json json; application/zip zip; text/html html; }}
    {temporary}
    {http}
    server {{
        listen {listen};
        {tls}
        root {www};
        {server}
    }}
}}
"""


@dataclass(frozen=True)
class Asked:
    """One request, from the access log: ``range`` as it was sent, ``sent`` bytes of the body; ``ended`` is a moment
    (seconds since the epoch) and ``took`` how many seconds before that it began."""

    path: str
    range: str
    status: int
    sent: int
    ended: float
    took: float


class Nginx:
    """``with Nginx(folder, www) as nginx``: serves ``www`` at ``nginx.url`` until the block ends.

    ``server`` and ``http`` are further directives for these blocks. ``address`` is listened on; ``certificate`` (a
    chain with its key) makes it https. ``within`` is a command that runs nginx somewhere else, such as in a namespace.
    """

    def __init__(
        self,
        folder: Path,
        www: Path,
        server: str = "",
        *,
        http: str = "",
        address: str = "127.0.0.1",
        certificate: Path | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        self._program = require("nginx", "nginx-light")
        self._folder, self._www = folder, www
        self._server, self._http = server, http
        self._address, self._certificate, self._within = address, certificate, within
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port() if not within else 8443
        self.url = f"{'https' if certificate else 'http'}://{address}:{self.port}/"

    def __enter__(self) -> Nginx:
        self._folder.mkdir(exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = self._folder / "nginx.conf"
        tls = f"ssl_certificate {self._certificate}; ssl_certificate_key {self._certificate};"
        settings.write_text(
            _SETTINGS.format(
                folder=self._folder,
                www=self._www,
                listen=f"{self._address}:{self.port}{' ssl' if self._certificate else ''}",
                tls=tls if self._certificate else "",
                temporary=" ".join(f"{name}_temp_path {self._folder}/{name};" for name in _TEMPORARY),
                http=self._http,
                server=self._server,
            )
        )
        command = [*self._within, self._program, "-e", "stderr", "-p", str(self._folder), "-c", str(settings)]
        with (self._folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        until = time.monotonic() + 20
        while not self._answers():
            told = (self._folder / "output.log").read_text()
            assert self._process.poll() is None, f"nginx ended: {told}"
            assert time.monotonic() < until, f"nginx does not answer: {told}"
            time.sleep(0.02)

    def _answers(self) -> bool:
        if self._within:  # it cannot be reached from here; it writes this file once it listens
            return (self._folder / "nginx.pid").exists()
        with socket.socket() as probe:
            return probe.connect_ex((self._address, self.port)) == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; with SIGKILL as a crash of the server does."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            (self._folder / "nginx.pid").unlink(missing_ok=True)

    def asked(self, path: str = "", since: float = 0.0) -> list[Asked]:
        """Finished requests since the last call; only those for ``path`` when it is given (without a slash), and only
        those that began after ``since``."""
        time.sleep(0.05)  # a request is logged when its connection has come to rest
        log = self._folder / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        if log.exists():
            os.truncate(log, 0)
        found = [Asked(**json.loads(line)) for line in lines]
        return [one for one in found if path in ("", one.path.removeprefix("/")) and one.ended - one.took >= since]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def write_files(folder: Path, files: Mapping[str, bytes], moment: int = 1_700_000_000) -> Path:
    """Files as a publisher uploads them: all with one modification time, as reproducible builds have."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        os.utime(target, (moment, moment))
    return folder
