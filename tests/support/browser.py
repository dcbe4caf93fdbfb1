"""Chromium, driven over its debugging pipe with the standard library alone: open pages, click, type, look, listen."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.require import require

__all__ = ["Page", "chromium"]

_OPTIONS = (
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
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_SECONDS = 60.0


class Page:
    """One tab. ``complaints`` are what its pages logged: errors, and violations of their content security policy."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = 0
        self._loader: str | None = None
        self._complete: set[str | None] = set()
        self.complaints: list[str] = []

    def start(self) -> None:
        """Open the tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """One command of the DevTools protocol, and its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            found = self._next(deadline)
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]

    def look(self, width: int = 1280, *, dark: bool = False, mobile: bool = False) -> None:
        """Choose the window's width and the colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go there and wait until it is loaded."""
        loader = self.call("Page.navigate", url=url).get("loaderId")
        self.wait(lambda: loader in self._complete)  # another one may just be loaded, by a script of the page before

    def run(self, script: str) -> Any:
        """The value of an expression, awaited when it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def text(self) -> str:
        """What a person reads on the page; empty while one is being loaded."""
        try:
            return str(self.run("document.body ? document.body.innerText : ''") or "")
        except RuntimeError:
            return ""

    def fill(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def click(self, selector: str) -> None:
        """Press something, and wait for the page that this leads to."""
        before = self._loaded
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        self.wait(lambda: self._loaded > before)

    def wait(self, condition: Callable[[], Any], seconds: float = _SECONDS) -> None:
        """Until ``condition`` is true. Raises TimeoutError with the page's text."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"in vain; the page says: {self.text()[:2000]}")
            self._next(time.monotonic() + 0.1, quietly=True)

    def wait_for(self, text: str, seconds: float = _SECONDS) -> None:
        """Until the page shows this text."""
        self.wait(lambda: text in self.text(), seconds)

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self, deadline: float, *, quietly: bool = False) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                if quietly:
                    return {}
                raise TimeoutError("Chromium does not answer")
            data = os.read(self._read, 1 << 16)
            if not data:
                raise RuntimeError("Chromium has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        self._hear(str(found.get("method", "")), found.get("params", {}))
        return found

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded += 1
            self._complete.add(self._loader)
        elif method == "Page.frameNavigated" and "parentId" not in params["frame"]:
            self._loader = params["frame"]["loaderId"]
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} ({params['entry'].get('url', '')})")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A headless browser of its own, which can reach nothing but 127.0.0.1."""
    program = require("chromium", "chromium")
    their_read, our_write = os.pipe()
    our_read, their_write = os.pipe()

    # the protocol is spoken on the descriptors 3 and 4
    shell = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null', "sh"]
    process = subprocess.Popen(
        [*shell, program, *_OPTIONS, f"--user-data-dir={profile}"],
        stdin=their_read,
        stdout=their_write,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_read)
    os.close(their_write)
    page = Page(our_write, our_read)
    try:
        page.start()
        yield page
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(our_write)
        os.close(our_read)
