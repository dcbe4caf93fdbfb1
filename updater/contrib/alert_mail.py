"""``[alert] command`` as an e-mail: for when the app that would send it is what is broken. Standard library only.

    command = ["python", "-m", "updater.contrib.alert_mail", "--to", "you@example.org", "--host", "mail.example.org"]

What happened comes in the environment (docs/formats.md section 7), and so does the password: ``UPDATER_MAIL_PASSWORD``.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import ssl
import sys
from collections.abc import Mapping
from email.message import EmailMessage

__all__ = ["alert_message", "main"]

_SECONDS = 30.0
_WORDS = {
    "rolled-back": "an update failed and was undone",
    "stuck": "an update needs a person",
    "probation-failed": "an update needs a person: it failed with traffic on",
}


def alert_message(environ: Mapping[str, str], *, sender: str, to: list[str]) -> EmailMessage:
    """The message about what the updater put into the environment."""
    event, site = (" ".join(environ.get(name, "").split()) for name in ("UPDATER_EVENT", "UPDATER_SITE"))
    what = _WORDS.get(event, event or "something happened")
    message = EmailMessage()
    message["Subject"] = f"{site}: {what}"[:200]
    message["From"] = sender
    message["To"] = ", ".join(to)
    versions = f"{environ.get('UPDATER_FROM') or 'nothing'} -> {environ.get('UPDATER_TO') or 'nothing'}"
    advice = "Look at it with `updater status`, `updater history` and `updater doctor`."
    message.set_content(f"{site}: {what} ({versions}).\n\n{environ.get('UPDATER_MESSAGE', '')}\n\n{advice}\n")
    return message


def main(argv: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Send it; returns 1, with the reason on standard error, when that failed."""
    parser = argparse.ArgumentParser(prog="python -m updater.contrib.alert_mail", description=__doc__)
    parser.add_argument("--to", required=True, action="append", metavar="ADDRESS", help="may be given several times")
    parser.add_argument("--from", dest="sender", metavar="ADDRESS", help="default: the first of --to")
    parser.add_argument("--host", default="localhost", help="the mail server (default: localhost)")
    parser.add_argument("--port", type=int, default=0, help="default: 25, or 465 with --tls")
    parser.add_argument("--user", help="the password is taken from UPDATER_MAIL_PASSWORD")
    parser.add_argument("--tls", action="store_true", help="TLS from the start; else STARTTLS where it is offered")
    args = parser.parse_args(argv)
    try:
        _send(args, alert_message(environ, sender=args.sender or args.to[0], to=args.to), environ)
    except OSError as error:  # smtplib's errors are OSErrors
        sys.stderr.write(f"error: the mail could not be sent: {type(error).__name__}: {error}\n")
        return 1
    return 0


def _send(args: argparse.Namespace, message: EmailMessage, environ: Mapping[str, str]) -> None:
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if args.tls:
        server = smtplib.SMTP_SSL(args.host, args.port or 465, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(args.host, args.port or 25, timeout=_SECONDS)
    with server:
        server.ehlo()
        encrypted = args.tls
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=context)
            encrypted = True
        if args.user:
            if not encrypted:
                raise OSError("the server offers no encryption, so the password is not sent")
            server.login(args.user, environ.get("UPDATER_MAIL_PASSWORD", ""))
        server.send_message(message)


if __name__ == "__main__":
    sys.exit(main())
