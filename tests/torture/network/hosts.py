"""Two hosts on one cable: network namespaces of this machine's kernel, of which nothing else here sees anything."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from types import TracebackType

import pytest

from tests.support.require import require

__all__ = ["SERVER", "TwoHosts"]

SERVER, CLIENT = "10.77.0.1", "10.77.0.2"


class TwoHosts:
    """``with TwoHosts() as hosts``: a server and a client; `on_server` and `on_client` are what to run commands with.

    The cable is a veth pair, whose both ends are moved into namespaces of their own: neither address is known outside.
    Skips the test, loudly, where this is not allowed.
    """

    def __init__(self) -> None:
        self._ip, self._tc = require("ip", "iproute2"), require("tc", "iproute2")
        self._server, self._client = f"tagship-s-{os.getpid()}", f"tagship-c-{os.getpid()}"

    @property
    def on_server(self) -> tuple[str, ...]:
        """Prefix of a command to run on the server."""
        return (self._ip, "netns", "exec", self._server)

    @property
    def on_client(self) -> tuple[str, ...]:
        """Prefix of a command to run on the client."""
        return (self._ip, "netns", "exec", self._client)

    def __enter__(self) -> TwoHosts:
        try:
            self._run(self._ip, "netns", "add", self._server)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"REQUIRED PROGRAM MISSING: ip netns add, which needs root: {error.stderr.decode().strip()}")
        try:
            self._run(self._ip, "netns", "add", self._client)
            self._run(*self._in_server("link", "add", "cable", "type", "veth", "peer", "name", "end"))
            self._run(*self._in_server("link", "set", "end", "netns", self._client))
            self._run(*self._in_client("link", "set", "end", "name", "cable"))
            for inside, address in ((self._in_server, SERVER), (self._in_client, CLIENT)):
                self._run(*inside("address", "add", f"{address}/24", "dev", "cable"))
                self._run(*inside("link", "set", "lo", "up"))
                self._run(*inside("link", "set", "cable", "up"))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def unplug(self) -> None:
        """The cable is out: the client sees it, and whatever is sent is lost."""
        self._run(*self._in_server("link", "set", "cable", "down"))

    def plug(self) -> None:
        """The cable is in again."""
        self._run(*self._in_server("link", "set", "cable", "up"))

    def leave(self) -> None:
        """The client has no address any more, as without Wi-Fi."""
        self._run(*self._in_client("address", "flush", "dev", "cable"))

    def join(self) -> None:
        """The client has its address again."""
        self._run(*self._in_client("address", "add", f"{CLIENT}/24", "dev", "cable"))

    def slow_down(self, rate: str, latency: str = "400ms") -> None:
        """Token bucket on what the server sends: ``rate`` as tc writes it, such as "200kbit"."""
        shape = ("root", "tbf", "rate", rate, "burst", "4kb", "latency", latency)
        self._run(*self.on_server, self._tc, "qdisc", "replace", "dev", "cable", *shape)

    def full_speed(self) -> None:
        """No token bucket."""
        self._run(*self.on_server, self._tc, "qdisc", "del", "dev", "cable", "root")

    def _in_server(self, *words: str) -> tuple[str, ...]:
        return (self._ip, "-n", self._server, *words)

    def _in_client(self, *words: str) -> tuple[str, ...]:
        return (self._ip, "-n", self._client, *words)

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=20)

    def _remove(self) -> None:
        for name in (self._client, self._server):  # the cable goes with its ends
            with suppress(subprocess.SubprocessError):
                self._run(self._ip, "netns", "delete", name)
