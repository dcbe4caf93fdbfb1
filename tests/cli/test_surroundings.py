"""Where it runs: broken environments, odd terminals, pipes, signals; and the exit codes' own page."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.sites import ROOT, Runner, live_tree, run_program
from tests.support.server import LoopbackServer, drip_body, status
from tests.support.signals import hear_interrupts
from updater import Updater
from updater.cli.amounts import duration, size
from updater.cli.exits import Exit, exit_code
from updater.cli.progress import Meter
from updater.errors import RolledBackError, UpdaterError, printable
from updater.events import Event, Phase

_BARE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from updater.cli import main; sys.exit(main())"


def test_the_page_lists_what_the_code_defines():
    page = (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+?) \|", page, re.MULTILINE)
    assert rows == [(str(code.value), code.meaning) for code in Exit]


def test_every_error_has_a_documented_code():
    def below(kind: type[UpdaterError]) -> list[type[UpdaterError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    assert {exit_code(kind.__new__(kind)) for kind in below(UpdaterError)} == {
        Exit.FAILED,
        Exit.USAGE,
        Exit.ROLLED_BACK,
        Exit.NEEDS_HUMAN,
        Exit.LOCKED,
        Exit.BLOCKED,
        Exit.NETWORK,
        Exit.VERIFICATION,
    }
    interrupted = RolledBackError("undone")
    interrupted.__cause__ = KeyboardInterrupt()
    assert exit_code(interrupted) == exit_code(KeyboardInterrupt()) == Exit.INTERRUPTED


@pytest.mark.parametrize(
    "verb", ["status", "history", "verify", "backup list", "recover", "rollback --yes", "--version", "--help"]
)
def test_the_way_back_needs_only_the_standard_library(site: Path, verb: str):
    """As in a broken virtual environment: no site-packages, no environment."""
    command = [sys.executable, "-S", "-E", "-c", _BARE, str(ROOT), *verb.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=site, timeout=60)
    assert done.returncode == Exit.DONE, done.stderr
    assert "missing" not in done.stderr


def test_a_missing_dependency_is_named(site: Path):
    command = [sys.executable, "-S", "-E", "-c", _BARE, str(ROOT), "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=site, timeout=60)
    assert done.returncode == Exit.FAILED
    assert "is missing" in done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_as_a_program(feed: str, tmp_path: Path):
    site = tmp_path / "site"
    assert run_program("install", feed, site, "--yes", "--version", "1.0.0").code == Exit.DONE
    assert run_program("check", "--exit-code", cwd=site).code == Exit.UPDATE_AVAILABLE
    done = run_program("update", "--yes", cwd=site)
    assert (done.code, "Done: 1.2.0 is installed." in done.out) == (Exit.DONE, True)
    assert run_program("rollback", "--yes", cwd=site).code == Exit.BLOCKED  # 1.2.0 has a migration, and no dump
    assert run_program("rollback", "--database-restored", "--yes", cwd=site).code == Exit.DONE
    assert run_program("--version").out.startswith("updater ")
    nothing = run_program()
    assert nothing.code == Exit.USAGE
    wrong = run_program("updaet")
    assert (wrong.code, "Traceback" in wrong.err) == (Exit.USAGE, False)


@pytest.mark.parametrize("verb", [("history",), ("status",), ("check",), ("update", "--yes"), ("doctor",), ("--help",)])
def test_an_ascii_terminal(site: Path, verb: tuple[str, ...]):
    env = {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C"}
    (site / "shop/a.py").write_text("edited")
    with (site / ".updater/history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"at": "x", "event": "grüße", "reason": "\\ud800"}\n')
    done = run_program(*verb, cwd=site, env=env)
    assert done.code in (Exit.DONE, Exit.FAILED)
    assert "Error" not in done.err
    assert (done.out + done.err).isascii()


def test_nobody_reads_the_output(site: Path):
    """A closed pipe must neither show a traceback nor stop an update."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for verb in (["history"], ["update", "--yes"]):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "updater", "--site", str(site), *verb]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, env=env, timeout=60)
        os.close(write)
        assert (done.returncode, b"Error" in done.stderr) == (Exit.DONE, False), done.stderr
    assert Updater(site).site.state().version == "1.2.0"


def test_standard_streams_are_closed(site: Path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = f'exec {sys.executable} -m updater --site "{site}" update --yes <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", line], check=False, env=env, timeout=60).returncode == Exit.DONE
    assert Updater(site).site.state().version == "1.2.0"


def test_a_full_disk_under_the_output(site: Path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONUNBUFFERED", None)  # with a buffer, the interpreter would find out only while it exits
    command = [sys.executable, "-m", "updater", "--site", str(site), "history"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, env=env, timeout=60)
    assert done.returncode == Exit.FAILED
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_an_update_undoes_it(site: Path, number: signal.Signals):
    with (site / "updater.toml").open("a") as file:
        file.write('\n[health]\ncommand = ["sh", "-c", "exit 1"]\ntimeout = 30\ninterval = 0.1\n')
    before = live_tree(site)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "updater", "--site", str(site), "update", "--yes"]
    with subprocess.Popen(
        command,
        env=env,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - one call that takes no lock
    ) as program:
        assert program.stderr is not None
        for line in program.stderr:
            if line.startswith("health:"):
                break
        time.sleep(0.3)
        program.send_signal(number)
        rest = program.stderr.read()
        assert program.wait(30) == Exit.INTERRUPTED, rest
    assert "1.1.0 is back" in rest
    assert live_tree(site) == before


def test_interrupted_while_downloading(site: Path, server: LoopbackServer):
    server.behaviours["packages/shop-1.2.0.zip"] = drip_body(server.files["packages/shop-1.2.0.zip"], 0.1, 20)  # type: ignore[index]
    before = live_tree(site)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "updater", "--site", str(site), "update", "--yes"]
    with subprocess.Popen(
        command,
        env=env,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - one call that takes no lock
    ) as program:
        assert program.stderr is not None
        assert program.stderr.readline()  # it is at work
        time.sleep(0.3)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=30)
    assert program.returncode == Exit.INTERRUPTED
    assert b"Traceback" not in err
    assert live_tree(site) == before


def test_a_bug_is_called_one(run: Runner, site: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(self: Updater) -> None:
        raise ZeroDivisionError("by accident")

    monkeypatch.setattr(Updater, "history", broken)
    done = run("--site", site, "history")
    assert done.code == Exit.FAILED
    assert "This is a bug in updater: ZeroDivisionError: by accident" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("UPDATER_DEBUG", "1")
    assert "Traceback" in run("--site", site, "history").err


def test_a_site_that_cannot_be_looked_at(run: Runner, site: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that fails is no "not a site", and nothing is recovered either: that is said."""

    def is_dir(path: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", is_dir)
        done = run("recover", "--site", site)
    assert done.code == 1
    assert "cannot be looked at: Input/output error" in done.err
    assert "an interrupted update waits for the next start" in done.err


def test_a_server_that_fails(run: Runner, site: Path, server: LoopbackServer, tmp_path: Path):
    server.behaviours["packages/shop-1.2.0.zip"] = status(500)
    before = live_tree(site)
    done = run("--site", site, "update", "--yes")
    assert done.code == Exit.NETWORK
    assert live_tree(site) == before
    server.behaviours["root.json"] = status(404)
    assert run("install", server.url + "stable.json", tmp_path / "new", "--yes").code == Exit.NETWORK


def test_a_package_that_was_changed(run: Runner, site: Path, server: LoopbackServer):
    data = server.files["packages/shop-1.2.0.zip"]  # type: ignore[index]
    server.behaviours["packages/shop-1.2.0.zip"] = status(200, data[:-30] + b"x" + data[-29:])
    before = live_tree(site)
    assert run("--site", site, "update", "--yes").code == Exit.VERIFICATION
    assert live_tree(site) == before


def on_a_terminal(site: Path, *verb: str, answer: bytes = b"", **env: str) -> str:
    """What a person would see, escapes included."""
    child, screen = pty.fork()
    if child == 0:
        os.environ.update({"PYTHONPATH": str(ROOT), "TERM": "xterm", **env})
        os.execv(sys.executable, [sys.executable, "-m", "updater", "--site", str(site), *verb])
    told = b""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if not select.select([screen], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(screen, 65536)
        except OSError:
            break
        told += data
        if answer and told.endswith(b"[y/N] "):
            os.write(screen, answer)
            answer = b""
    os.close(screen)
    os.waitpid(child, 0)
    return told.decode("utf-8", "replace")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_on_a_real_terminal(site: Path):
    plain = on_a_terminal(site, "update", "--dry-run", NO_COLOR="1")
    assert "\x1b[3" not in plain
    assert "\x1b[1m" not in plain
    told = on_a_terminal(site, "update", answer=b"y\n")
    assert "Update to 1.2.0 now? [y/N] " in told
    assert "Done: 1.2.0 is installed." in told
    assert "\x1b[32m" in told


def test_colour_is_never_the_only_carrier(site: Path, run: Runner):
    done = run("--site", site, "doctor")
    assert all(re.match(r"(ok|warning|error) |  +->|\d+ error", line) for line in done.out.splitlines())


# small parts


def test_amounts():
    assert [size(number) for number in (0, 999, 1000, 1_450_000, 999_999_999_999)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.4 MB",
        "1000.0 GB",
    ]
    assert [duration(seconds) for seconds in (0, 42, 3723)] == ["0:00", "0:42", "1:02:03"]


def test_text_cannot_take_over_the_terminal():
    assert printable("a\x1b[2Jb\rc\u202ed\te\nf\x9bg") == "a\\x1b[2Jb\\rc\\u202ed\te\nf\\x9bg"


def test_rate_and_time_left():
    seconds = iter([0.0, 10.0])
    meter = Meter(lambda: next(seconds))
    meter.restart(Event(Phase.DOWNLOAD, "start", done=5_000_000, total=27_000_000, unit="bytes"))  # resumed
    now = Event(Phase.DOWNLOAD, "progress", done=15_000_000, total=27_000_000, unit="bytes")
    meter.move(now)
    assert meter.text(now) == "55 %, 15.0 MB of 27.0 MB, 1.0 MB/s, 0:12 left"


def test_progress_never_fails(site: Path, monkeypatch: pytest.MonkeyPatch, terminal: Callable[[str], None]):
    from updater.cli.console import Console
    from updater.cli.progress import showing_progress

    console = Console()
    monkeypatch.setattr(console, "note", lambda *_: 1 / 0)
    with showing_progress(console) as report:
        report(Event(Phase.INSTALL, "start", "Switching."))
