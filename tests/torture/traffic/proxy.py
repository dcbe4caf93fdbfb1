"""nginx in front of the shop: pages go to the app, uploads are written straight into the site's media folder."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["free_port", "nginx"]

_CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {media}/.incoming;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 10m;
    location /uploads/ {{
      alias {media}/uploads/;
      dav_methods PUT;
      create_full_put_path on;
    }}
    location / {{
      {maintenance}
      proxy_pass http://127.0.0.1:{upstream};
      proxy_set_header Host $http_host;
      proxy_connect_timeout 5s;
      proxy_read_timeout 30s;
    }}
  }}
}}
"""
_MAINTENANCE = """if (-f {flag}) {{ return 503; }}
      add_header Retry-After 5 always;"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(program: str, home: Path, *, upstream: int, media: Path, flag: Path | None = None) -> Iterator[int]:
    """Run it until left; the port. ``flag``: a file that says "maintenance", answered by 503 and Retry-After."""
    home.mkdir()
    (media / "uploads").mkdir(parents=True, exist_ok=True)
    port = free_port()
    text = _CONFIG.format(
        user="user root root;" if os.geteuid() == 0 else "",
        home=home,
        port=port,
        upstream=upstream,
        media=media,
        maintenance=_MAINTENANCE.format(flag=flag) if flag else "",
    )
    (home / "nginx.conf").write_text(text)
    process = subprocess.Popen(
        [program, "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (home / "error.log").read_text()
            assert time.monotonic() < deadline, "nginx does not answer"
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(20)
