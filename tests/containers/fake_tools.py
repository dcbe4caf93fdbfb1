"""``docker``, ``podman`` and ``kubectl`` for tests: they understand exactly the commands that Tagship gives, keep what
they know in a folder, and "run" an image as a real web server that migrates a real database when it starts.

    FAKE_STATE/registry.json   image -> {"version", "starts", "answers"}: what can be pulled, and how it behaves
    FAKE_STATE/port            where the app listens
    FAKE_STATE/calls           every command line, one a line
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ["FAKE_STATE"])
SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"version": sys.argv[2]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def fail(message: str) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(1)


def stop() -> None:
    pid = STATE / "pid"
    if pid.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink()


def start(image: str) -> None:
    about = json.loads((STATE / "registry.json").read_text())[image]
    stop()
    with sqlite3.connect(STATE / "db.sqlite3") as database:  # what an entrypoint does: migrate
        database.execute("CREATE TABLE IF NOT EXISTS migrations (version TEXT)")
        database.execute("INSERT INTO migrations VALUES (?)", [about["version"]])
    database.close()
    if not about["starts"]:
        fail('container "shop-web-1" exited (1)')
    port = (STATE / "port").read_text()
    words = [sys.executable, "-c", SERVER, port, about["answers"]]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (STATE / "pid").write_text(str(child.pid))
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=1):
            return
        time.sleep(0.02)
    fail("the app does not listen")


def merged(files: list[str]) -> dict[str, str]:
    """The image of each service, a later file over an earlier one."""
    images: dict[str, str] = {}
    for name in files:
        text = "".join(line for line in Path(name).read_text().splitlines(True) if not line.startswith("#"))
        images |= {service: about["image"] for service, about in json.loads(text)["services"].items()}
    return images


def docker(words: list[str]) -> None:
    match words:
        case ["pull", image]:
            if image not in json.loads((STATE / "registry.json").read_text()):
                fail("Error response from daemon: manifest unknown")
            with (STATE / "pulled").open("a") as pulled:
                pulled.write(image + "\n")
        case ["compose", *rest]:
            files = []
            while rest[0] == "--file":
                files.append(rest[1])
                rest = rest[2:]
            images = merged(files)
            services = [word for word in rest[1:] if word in images]
            if rest[0] == "stop":
                stop()
            elif rest[0] == "up" and {"--detach", "--no-build"} <= set(rest):
                (image,) = {images[service] for service in services}
                if image not in (STATE / "pulled").read_text().splitlines():
                    fail(f"no such image: {image}")
                start(image)
            else:
                fail(f"unknown docker command: {rest[0]}")
        case _:
            fail(f"'{words[0]}' is not a docker command.")


def kubectl(words: list[str]) -> None:
    deployed = STATE / "deployed"
    if words[-4:-2] != ["--namespace", "prod"] and "--namespace" not in words:
        fail("no namespace")
    match words:
        case ["get", "deployment", "shop", "--namespace", "prod", "--output", path] if '@.name=="web"' in path:
            print(deployed.read_text(), end="")
        case ["set", "image", "deployment/shop", "--namespace", "prod", change]:
            deployed.write_text(change.removeprefix("web="))
        case ["rollout", "status", "deployment/shop", "--namespace", "prod", timeout] if timeout.endswith("s"):
            start(deployed.read_text())
        case _:
            fail(f"error: unknown command {words}")


def main() -> None:
    with (STATE / "calls").open("a") as calls:
        calls.write(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n")
    (kubectl if Path(sys.argv[0]).name == "kubectl" else docker)(sys.argv[1:])


if __name__ == "__main__":
    main()
