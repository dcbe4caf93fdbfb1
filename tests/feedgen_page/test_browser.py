"""The pages in a real browser: accessible in both colour schemes and at two widths, quiet, and within their policy."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from feedgen.page.render import render
from tests.feedgen_page.shop import TAGS, Shop
from tests.feedgen_page.test_pages import hostile
from tests.support.require import require, strict

pytestmark = pytest.mark.slow
AXE = "axe-core@4.10.3"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
)
LOOKS = {"desktop": (1280, False), "phone": (390, False), "dark": (1280, True)}
HARNESS = """<!doctype html><title>axe</title><body><script>
const pages = PAGES, found = {};
async function look(page) {
  const frame = document.createElement("iframe");
  frame.width = WIDTH; frame.height = 900; frame.src = page;
  const loaded = new Promise(resolve => { frame.onload = resolve; });
  document.body.append(frame);
  await loaded;
  const inside = frame.contentWindow;
  inside.eval(axe_source);
  const result = await inside.axe.run(inside.document, {resultTypes: ["violations"]});
  found[page] = result.violations.map(v => [v.id, v.impact, v.nodes.map(n => n.html + " " + n.failureSummary)]);
  const width = inside.document.documentElement.scrollWidth;
  if (width > inside.innerWidth) found[page].push(["wider than its window", width]);
  frame.remove();
}
let axe_source;
(async () => {
  axe_source = await (await fetch("/axe.js")).text();
  for (const page of pages) await look(page);
  document.documentElement.setAttribute("data-found", JSON.stringify(found));
})().catch(error => document.documentElement.setAttribute("data-found", JSON.stringify({failed: String(error)})));
</script>"""


@pytest.fixture(scope="module")
def site(built_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's site with a chart."""
    folder = tmp_path_factory.mktemp("browser") / "shop"
    shutil.copytree(built_shop.folder, folder)
    shop = Shop(folder)
    shop.commit(TAGS["v1.3.0b1"])
    return shop.site


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """axe-core, installed outside of the repository."""
    npm = require("npm", "npm")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), AXE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if done.returncode != 0 or not script.is_file():
        message = f"REQUIRED PROGRAM MISSING: axe-core (npm could not install it: {done.stderr.strip()[-200:]})"
        pytest.fail(message, pytrace=False) if strict() else pytest.skip(message)
    return script


class Handler(SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def browse(tmp_path: Path, url: str, *options: str) -> tuple[str, str]:
    """The page after its scripts, and what the browser logged. It cannot look any other host up."""
    chromium = require("chromium", "chromium")
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    profile = tmp_path / "profile"
    command = [chromium, *QUIET, rules, f"--user-data-dir={profile}", "--enable-logging=stderr", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout, done.stderr


def page_urls(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).parent.as_posix() for path in folder.rglob("index.html"))


@pytest.mark.parametrize("look", LOOKS)
def test_accessible(site: Path, axe: Path, tmp_path: Path, look: str) -> None:
    """axe-core finds nothing on any page, and no page is wider than its window; the last page shows that it would."""
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    for path, data in render(hostile()).items():
        if path.startswith("releases/") or path.endswith(".css"):
            (copy / "hostile" / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / "hostile" / path).write_bytes(data)
    for path in copy.rglob("index.html"):
        path.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text()))
    pages = [f"/{page}/" for page in page_urls(copy)]
    (copy / "bad").mkdir()
    bad = '<img src="../none.png"><svg width="3000" height="1"></svg><p style="color:#bbb">Pale</p></body>'
    text = (copy / "trust" / "index.html").read_text().replace("</body>", bad)
    (copy / "bad" / "index.html").write_text(text)
    shutil.copyfile(axe, copy / "axe.js")
    width, dark = LOOKS[look]
    harness = HARNESS.replace("PAGES", json.dumps([*pages, "/bad/"])).replace("WIDTH", str(width))
    (copy / "harness.html").write_text(harness)
    options = [f"--window-size={width + 40},1000", "--virtual-time-budget=120000", "--dump-dom"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    with serve(copy) as base:
        dom, _ = browse(tmp_path, f"{base}harness.html", *options)
    result = re.search(r'data-found="([^"]*)"', dom)
    assert result is not None
    found = json.loads(html.unescape(result[1]))
    caught = {violation[0] for violation in found.pop("/bad/")}
    assert caught >= {"image-alt", "wider than its window"} | (set() if dark else {"color-contrast"})
    assert len(found) >= 13
    assert {page: violations for page, violations in found.items() if violations} == {}


def test_no_request_leaves_the_site_and_the_policy_holds(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    for path, data in render(hostile()).items():
        (copy / "hostile" / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / "hostile" / path).write_bytes(data)
    with serve(copy) as base:
        for page in page_urls(copy):
            asked, logged = look_at(tmp_path, f"{base}{page}/")
            assert asked, page
            assert {url for url in asked if not url.startswith(base)} == set(), page
            assert "Content Security Policy" not in logged, page
            there = [copy / url.removeprefix(base).partition("?")[0] for url in asked]
            assert [path for path in there if not (path.is_file() or (path / "index.html").is_file())] == [], page


def test_those_checks_would_notice(site: Path, tmp_path: Path) -> None:
    """A page that breaks both rules is caught by what the test above looks at."""
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    index = copy / "index.html"
    bad = '<p style="color:red">x</p><script>1</script></body>'
    index.write_text(index.read_text().replace("</body>", bad))
    open_ = copy / "trust" / "index.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", open_.read_text())
    open_.write_text(text.replace("</body>", '<img alt="" src="https://outside.example/x.png"></body>'))
    with serve(copy) as base:
        assert "Content Security Policy" in look_at(tmp_path, base)[1]
        assert "https://outside.example/x.png" in look_at(tmp_path, f"{base}trust/")[0]


def look_at(tmp_path: Path, url: str) -> tuple[set[str], str]:
    """Every address that the page made the browser ask for, and the console."""
    log = tmp_path / "net.json"
    _, logged = browse(tmp_path, url, f"--log-net-log={log}", "--virtual-time-budget=3000", "--dump-dom")
    events = json.loads(log.read_text())
    kind = events["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [
        event["params"] for event in events["events"] if event["type"] == kind and "url" in event.get("params", {})
    ]
    # What the browser asks for on its own account has no page as its initiator.
    return {found["url"] for found in asked if found.get("initiator", "not an origin") != "not an origin"} | {
        found["url"] for found in asked if found["url"].startswith(url)
    }, logged
