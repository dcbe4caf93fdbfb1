"""The alert by mail: what it says, to a real (small) mail server, and what a hostile message cannot do to it."""

from __future__ import annotations

import socketserver
from threading import Thread

import pytest

from updater.contrib.alert_mail import alert_message, main

EVENT = {
    "UPDATER_EVENT": "rolled-back",
    "UPDATER_SITE": "/srv/shop",
    "UPDATER_FROM": "1.0.0",
    "UPDATER_TO": "1.1.0",
    "UPDATER_MESSAGE": "The new version did not answer.",
}


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as is needed to take a message."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while (line := self.rfile.readline()) != b".\r\n":
                    self.server.got.append(line)  # type: ignore[attr-defined]
                self.wfile.write(b"250 taken\r\n")
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def mailbox():
    with socketserver.TCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.got = []  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def words(server) -> list[str]:
    return ["--to", "you@example.org", "--host", "127.0.0.1", "--port", str(server.server_address[1])]


def test_what_happened_is_mailed(mailbox):
    assert main(words(mailbox), EVENT) == 0
    text = b"".join(mailbox.got).decode()
    assert "Subject: /srv/shop: an update failed and was undone" in text
    assert "1.0.0 -> 1.1.0" in text and "The new version did not answer." in text


def test_a_password_is_not_sent_in_the_clear(mailbox, capsys):
    assert main([*words(mailbox), "--user", "ada"], EVENT | {"UPDATER_MAIL_PASSWORD": "secret"}) == 1
    assert "no encryption" in capsys.readouterr().err
    assert mailbox.got == []


def test_a_server_that_is_away_is_an_error_without_a_traceback(capsys):
    assert main(["--to", "you@example.org", "--host", "127.0.0.1", "--port", "1"], EVENT) == 1
    assert "could not be sent" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["UPDATER_SITE", "UPDATER_EVENT"])
def test_a_line_break_makes_no_header(name):
    message = alert_message(EVENT | {name: "x\nBcc: eve@example.org"}, sender="a@example.org", to=["b@example.org"])
    assert message["Bcc"] is None
