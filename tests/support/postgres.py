"""A real PostgreSQL server for tests: its own cluster in a temporary folder, on a free loopback port.

Without the server's programs tests are skipped, loudly; where ``CI`` is ``true`` that is a failure instead.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Server", "running_server"]

_INITDB = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
_PASSWORD = "s3cret/with:odd@characters"


@dataclass(frozen=True)
class Server:
    """A running cluster. ``port`` on 127.0.0.1; the role ``app`` owns nothing but what a test gives it."""

    port: int
    programs: Path
    password: str = _PASSWORD

    def url(self, database: str, user: str = "app") -> str:
        from urllib.parse import quote

        return f"postgresql://{user}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def environment(self, user: str = "app") -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": user,
            "PGPASSWORD": self.password,
        }

    def sql(self, database: str, *statements: str, user: str = "app") -> str:
        """Run statements, each on its own, and return what they print."""
        commands = [word for statement in statements for word in ("-c", statement)]
        done = subprocess.run(
            [str(self.programs / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, *commands],
            env=self.environment(user),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def schema_and_data(self, database: str) -> str:
        """Everything the database holds, as comparable text."""
        dump = [str(self.programs / "pg_dump"), "--restrict-key=same"]
        for argv in (dump, dump[:1]):
            done = subprocess.run(
                [*argv, database], env=self.environment("postgres"), capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
        return "\n".join(
            line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))
        )


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server and stop it by its process id at the end."""
    programs = _programs()
    if programs is None:
        message = "PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        prefix = _unprivileged(folder)
        _initialise(programs, folder, prefix)
        port = _free_port()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, str(programs / "postgres"), "-D", str(folder / "data"), *_settings(folder, port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            server = Server(port, programs)
            _wait(server, process, folder / "log")
            server.sql("postgres", f"CREATE ROLE app LOGIN PASSWORD '{_PASSWORD}'", user="postgres")
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def _unprivileged(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: the words that run a command as somebody else."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _initialise(programs: Path, folder: Path, prefix: list[str]) -> None:
    secret = folder / "password"
    secret.write_text(_PASSWORD)
    secret.chmod(0o644)
    subprocess.run(
        [*prefix, str(programs / "initdb"), "-D", str(folder / "data"), f"--pwfile={secret}", *_INITDB],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    secret.unlink()


def _settings(folder: Path, port: int) -> list[str]:
    memory = ["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=30"]
    return ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), *memory]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        ready = subprocess.run(
            [str(server.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(server.port)], check=False
        )
        if ready.returncode == 0:
            return
        assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.05)
