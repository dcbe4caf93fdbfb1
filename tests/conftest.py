"""Rules for every test: no network but loopback, no surroundings of the machine, and loud skips."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests.support.require import strict

hypothesis.settings.register_profile("tagship", deadline=None, database=None, derandomize=strict(), print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tagship"))

_SURROUNDINGS = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FEEDGEN_PASSPHRASE", "DJANGO_SETTINGS_MODULE")
_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


class NetworkUsedError(RuntimeError):
    """A test without the mark ``network`` reached for something outside this machine."""


@pytest.fixture(autouse=True)
def _no_surroundings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only loopback sockets, and none of the variables by which a machine changes what programs do."""
    if request.node.get_closest_marker("network"):
        yield
        return
    for name in _SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def connect(self: socket.socket, address: Any) -> None:
        _refuse_others(self.family, address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_others(self.family, address)
        return _connect_ex(self, address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host and not _is_loopback(host):
            raise NetworkUsedError(f"a test looked up {host!r}; mark it `network` or use loopback")
        return _getaddrinfo(host, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect_ex)
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


def _refuse_others(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise NetworkUsedError(f"a test connected to {address}; mark it `network` or use loopback")


def _is_loopback(host: str | bytes) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    try:
        return name == "localhost" or ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was not tested because a program is missing, where nobody overlooks it."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    missing = sorted({text[text.index("REQUIRED") :].rstrip("')") for text in skipped if "REQUIRED PROGRAM" in text})
    if missing:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        for line in missing:
            terminalreporter.line(line, red=True)
