"""Customers and editors, all at once, until told to stop. A program of its own, standard library only:

    load.py URL OUT STOP SECONDS SCALE

Pages, orders (cart and checkout) and uploads go to URL for at most SECONDS (60), or until the file STOP exists. With
SCALE 1 that is 100 writes a second: 20 orders and 80 uploads, besides 20 pages. Each request is a line of JSON in OUT:
``start`` and ``end`` (seconds since the epoch), ``kind``, ``verdict`` and ``detail`` (what was acknowledged: an order's
token, an upload's name and digest).

Verdicts: ``ok``; ``refused`` (an answer that is neither an error nor what was asked for); ``error`` (no answer),
``503`` with Retry-After, ``5xx``, ``4xx``: failed.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import re
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_SECONDS = 60.0
TIMEOUT = 15.0
PERSON = {
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "street": "12 St James's Square",
    "postcode": "SW1Y 4JH",
    "city": "London",
    "country": "United Kingdom",
}


class Answer:
    def __init__(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.status, self.body = response.status, body
        self.location = response.headers.get("Location", "")
        self.retry_after = response.headers.get("Retry-After")
        self.cookies = response.headers.get_all("Set-Cookie") or []


class Failed(Exception):
    """Carries the verdict."""


class Browser:
    """One visitor: a connection and cookies."""

    def __init__(self, host: str, log: Callable[..., None]) -> None:
        self.host, self.log = host, log
        self.cookies: dict[str, str] = {}
        self.connection: http.client.HTTPConnection | None = None

    def ask(
        self, kind: str, method: str, path: str, body: bytes | None = None, content_type: str = "", judge: Any = None
    ) -> Answer:
        """One request, logged with its verdict; raises Failed unless that is ``ok`` or ``refused``.

        ``judge`` turns an answer below 400 into verdict and detail."""
        start = time.time()
        verdict, detail, answer = "error", "", None
        try:
            answer = self._exchange(method, path, body, content_type)
            verdict, detail = self._verdict(answer, judge)
        except (OSError, http.client.HTTPException) as error:
            detail = f"{type(error).__name__}: {error}"
            self.close()
        self.log(start=start, end=time.time(), kind=kind, verdict=verdict, detail=detail)
        if answer is None or answer.status >= 400:
            raise Failed(verdict)
        return answer

    def post(self, kind: str, path: str, fields: dict[str, str], judge: Any = None) -> Answer:
        fields = {"csrfmiddlewaretoken": self.cookies.get("csrftoken", "")} | fields
        body = urllib.parse.urlencode(fields).encode()
        return self.ask(kind, "POST", path, body, "application/x-www-form-urlencoded", judge)

    def _verdict(self, answer: Answer, judge: Any) -> tuple[str, str]:
        if answer.status == 503 and answer.retry_after:
            return "503", ""
        if answer.status >= 400:
            return f"{answer.status // 100}xx", str(answer.status)
        return judge(answer) if judge else ("ok", "")

    def _exchange(self, method: str, path: str, body: bytes | None, content_type: str) -> Answer:
        fresh = self.connection is None
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if content_type:
            headers["Content-Type"] = content_type
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if fresh:
                raise
            return self._exchange(method, path, body, content_type)  # the proxy had closed an idle connection
        answer = Answer(response, response.read())
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Load:
    """All visitors."""

    def __init__(self, url: str, out: Path, stop: Path, seconds: float, scale: float) -> None:
        self.host = urllib.parse.urlsplit(url).netloc
        self.stop = stop
        self.until = time.monotonic() + min(seconds, MOST_SECONDS)
        self.scale = scale
        self._out = out.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def log(self, **line: Any) -> None:
        with self._lock:
            self._out.write(json.dumps(line) + "\n")

    def run(self) -> None:
        kinds = [(self.page, 2, 10.0), (self.order, 4, 5.0), (self.upload, 4, 20.0)]
        threads = [
            threading.Thread(target=self._visitor, args=(act, rate * self.scale), daemon=True)
            for act, count, rate in kinds
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        while time.monotonic() < self.until and not self.stop.exists():
            time.sleep(0.05)
        self.until = 0.0
        for thread in threads:
            thread.join(TIMEOUT + 5)

    def _visitor(self, act: Callable[[Browser], None], rate: float) -> None:
        browser = Browser(self.host, self.log)
        due = time.monotonic() + random.random() / rate
        while time.monotonic() < self.until:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + 1 / rate, time.monotonic() - 1)  # what was missed for more than a second is not made up for
            try:
                act(browser)
            except Failed:
                browser.cookies.clear()
        browser.close()

    def page(self, browser: Browser) -> None:
        """The front page, which names a product, and at times the product."""
        answer = browser.ask("page", "GET", "/")
        found = re.findall(r'href="(/product/[^"]+)"', answer.body.decode())
        if found and random.random() < 0.3:
            browser.ask("page", "GET", random.choice(found))

    def order(self, browser: Browser) -> None:
        """Into the cart, to the checkout: acknowledged is what gets a confirmation page's address."""
        if "csrftoken" not in browser.cookies:
            found = re.findall(r'href="(/product/[^"]+)"', browser.ask("page", "GET", "/").body.decode())
            if not found:
                raise Failed("no products")
            browser.ask("page", "GET", random.choice(found))
        browser.post("cart", f"/cart/add/{random.randint(1, 6)}/", {"quantity": "1"})

        def acknowledged(answer: Answer) -> tuple[str, str]:
            token = re.fullmatch(r"/orders/([0-9a-f-]{36})/", answer.location)
            return ("ok", token[1]) if token else ("refused", answer.location)

        answer = browser.post("order", "/checkout/", PERSON, acknowledged)
        if "/orders/" not in answer.location:
            browser.cookies.clear()

    def upload(self, browser: Browser) -> None:
        """A file of a few kilobytes, as an editor's WebDAV client writes it."""
        content = random.randbytes(random.randint(100, 8_000))
        name = f"{uuid.uuid4().hex}.bin"
        digest = hashlib.sha256(content).hexdigest()
        browser.ask("upload", "PUT", f"/uploads/{name}", content, judge=lambda _: ("ok", f"{name} {digest}"))


def main() -> None:
    url, out, stop, seconds, scale = sys.argv[1:]
    Load(url, Path(out), Path(stop), float(seconds), float(scale)).run()


if __name__ == "__main__":
    main()
