"""`make demo`: a maintainer publishes a shop three times, and a site updates itself, or refuses to break.

Everything happens in a new temporary directory and on loopback addresses; nothing is asked. Every line that begins
with "$" is a command that you could have typed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent / "shop"))
from make_repo import make_repo

SERVICE = Path(__file__).resolve().parent / "shop" / "service.py"
TOOLS = Path(sys.executable).parent
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def styled(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def chapter(title: str, *lines: str) -> None:
    print(f"\n{styled(f'== {title} ', '1;36')}{styled('=' * max(0, 76 - len(title)), '36')}", flush=True)
    for line in lines:
        print(line, flush=True)


def say(text: str) -> None:
    print(styled(f"-> {text}", "32"), flush=True)


class StaticFiles(SimpleHTTPRequestHandler):
    """Static files as every CDN serves them: quietly, and with byte ranges."""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file() or int(asked[1]) >= path.stat().st_size:
            super().do_GET()
            return
        data = path.read_bytes()
        first = int(asked[1])
        part = data[first : int(asked[2]) + 1 if asked[2] else len(data)]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class FeedServer:
    """The published site, served on loopback."""

    def __init__(self, directory: Path) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(StaticFiles, directory=str(directory)))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Demo:
    """The directories and ports of one run."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="tagship-demo-"))
        self.repository = self.home / "shop-repository"
        self.keys = self.home / "keys"
        self.site = self.home / "site"
        self.port = free_port()
        self.environment = os.environ | {
            "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
            "FEEDGEN_PASSPHRASE": "only-for-this-demo",
            "SHOP_UPDATES": "1",
            "SHOP_ADMIN_USER": "admin",
            "SHOP_ADMIN_PASSWORD": "only-for-this-demo",
            "COLUMNS": str(shutil.get_terminal_size((100, 24)).columns),
        }

    @property
    def shop(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words: str, cwd: Path | None = None, expect: int = 0) -> None:
        """Show a command, run it, and stop the demo when it ends otherwise than it should."""
        shown = shlex.join(words).replace(str(self.home) + "/", "")
        print(styled(f"$ {shown}", "1"), flush=True)
        code = subprocess.run(words, cwd=cwd or self.home, env=self.environment, check=False).returncode
        if code != expect:
            sys.exit(f"demo: the command ended with {code}, expected {expect}. Look into {self.home}.")

    def version(self) -> str:
        return str(requests.get(f"{self.shop}/health/", timeout=10).json()["version"])

    def orders(self) -> int:
        with sqlite3.connect(f"file:{self.site / 'db.sqlite3'}?mode=ro", uri=True) as database:
            return int(database.execute("select count(*) from orders_order").fetchone()[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def place_order(shop: str) -> str:
    """Buy something as a customer's browser would; returns the address of the confirmation."""
    browser = requests.Session()
    home = browser.get(f"{shop}/", timeout=10).text
    product = re.search(r'href="(/product/[^"]+)"', home)
    if product is None:
        sys.exit("demo: the shop shows no product")
    page = browser.get(shop + product[1], timeout=10).text
    form = re.search(r'action="(/cart/add/\d+/)"', page)
    if form is None:
        sys.exit("demo: the product cannot be bought")
    token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    browser.post(shop + form[1], data=token | {"quantity": "1"}, timeout=10).raise_for_status()
    checkout = browser.get(f"{shop}/checkout/", timeout=10).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', checkout))
    person = {
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "street": "12 St James's Square",
        "postcode": "SW1Y 4JH",
        "city": "London",
        "country": "United Kingdom",
    }
    answer = browser.post(f"{shop}/checkout/", data=hidden | person, timeout=10)
    if "/orders/" not in answer.url:
        sys.exit("demo: the order was not accepted")
    return answer.url


def settings(demo: Demo, feed: str) -> str:
    """The owner's updater.toml."""
    service = [sys.executable, str(SERVICE)]
    return f"""# The settings of this site. They are its owner's: an update never changes this file.
[feed]
url = "{feed}"

[database]
kind = "sqlite"
path = "db.sqlite3"

[commands]
runner = ["{sys.executable}", "manage.py"]
allow = ["migrate", "collectstatic"]

[restart]
stop = {toml_list([*service, "stop", str(demo.site)])}
command = {toml_list([*service, "start", str(demo.site), str(demo.port)])}

[health]
url = "{demo.shop}/health/"
timeout = 8
interval = 0.2
"""


def toml_list(words: list[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def play(demo: Demo) -> None:
    started = time.monotonic()
    chapter("The maintainer", "A shop written in Django, in a git repository with three tagged versions.")
    make_repo(demo.repository)
    published = demo.repository / ".feedgen" / "site"
    published.mkdir(parents=True)
    server = FeedServer(published)
    feed = f"{server.url}stable.json"
    git = ("git", "log", "--oneline", "--decorate=short")
    demo.run(*git, cwd=demo.repository)
    demo.run(
        "feedgen", "init", "--app", "shop", "--base-url", server.url, "--keys", str(demo.keys), cwd=demo.repository
    )
    demo.run("feedgen", "publish", "v1.0.0", "--keys", str(demo.keys), cwd=demo.repository)
    fingerprint = hashlib.sha256((published / "root.json").read_bytes()).hexdigest()

    chapter("The site owner", "An empty directory becomes a running shop. The fingerprint says whom to trust.")
    demo.site.mkdir()
    (demo.site / "updater.toml").write_text(settings(demo, feed), encoding="utf-8")
    demo.run("updater", "install", feed, str(demo.site), "--root-sha256", fingerprint)
    demo.run(sys.executable, "manage.py", "seed_demo", cwd=demo.site)
    place_order(demo.shop)
    say(f"The shop answers as {demo.version()}, and a customer has ordered: {demo.orders()} order in the database.")

    chapter("An update", "1.1.0 has new, changed and deleted files, and a migration that rewrites every price.")
    demo.run("feedgen", "publish", "v1.1.0", "--keys", str(demo.keys), cwd=demo.repository)
    demo.run("updater", "check", cwd=demo.site)
    demo.run("updater", "update", "--yes", cwd=demo.site)
    place_order(demo.shop)
    say(f"The shop answers as {demo.version()}, with the old order and a new one: {demo.orders()} orders.")

    chapter("A broken release", "1.2.0 migrates the database, and then cannot serve. Nobody is at the keyboard.")
    demo.run("feedgen", "publish", "v1.2.0", "--keys", str(demo.keys), cwd=demo.repository)
    demo.run("updater", "update", "--yes", cwd=demo.site, expect=3)
    say(f"Code and database are back: the shop answers as {demo.version()}, with {demo.orders()} orders.")
    demo.run("updater", "verify", cwd=demo.site)
    demo.run("updater", "history", cwd=demo.site)

    server.close()
    subprocess.run([sys.executable, str(SERVICE), "stop", str(demo.site)], check=True)
    chapter(
        "That was it",
        f"It took {time.monotonic() - started:.0f} seconds. Look around in {demo.home}:",
        "  site/                            the shop, with updater.toml, .updater/ and its restore points",
        "  shop-repository/.feedgen/site/   what would be on GitHub Pages: feeds, metadata, packages",
        "  keys/                            the maintainer's encrypted keys (passphrase: only-for-this-demo)",
        "",
        "To see the shop in a browser:",
        f"  SHOP_UPDATES=1 {sys.executable} {SERVICE} start {demo.site} {demo.port}",
        f"  then open {demo.shop}/ (and stop it with the same words and `stop`)",
        "",
        f"Its updates are in the admin: {demo.shop}/admin/updates/availableupdate/, as admin, only-for-this-demo.",
        "`make demo-admin` starts a shop for which an update waits there.",
    )


def main() -> None:
    demo = Demo()
    try:
        play(demo)
    finally:
        if demo.site.exists():
            subprocess.run([sys.executable, str(SERVICE), "stop", str(demo.site)], check=False)


if __name__ == "__main__":
    main()
