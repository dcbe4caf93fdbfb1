"""Each state of an update meets each event, with the real shop under real servers; one function judges what is left."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.postgres import running_server
from tests.support.require import require
from tests.torture.figures import Figures
from tests.torture.states.cases import BACK, CASES, KINDS, Case, Kind
from tests.torture.states.home import Home, Template
from tests.torture.traffic.published import Feed, publish_shop

SAMPLE = (
    "sqlite-gunicorn-in-place, kill at migrating",
    "sqlite-gunicorn-in-place, full at starting",
)
PARTS = 4
RECOVER_AFTER_BOOT = (
    "import sys, pathlib, updater.site.lock as lock; from updater.cli import main\n"
    "other = pathlib.Path(sys.argv.pop(1)); lock._BOOT_ID = other; sys.exit(main())"
)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    with publish_shop(tmp_path_factory.mktemp("publisher")) as found:
        yield found


@contextmanager
def template(kind: Kind, folder: Path, feed: Feed) -> Iterator[Template]:
    with ExitStack() as opened:
        server = opened.enter_context(running_server()) if kind.postgresql else None
        folder.mkdir(parents=True)
        yield Template(kind, folder, feed, server)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own, small enough to be filled in a moment."""
    folder.mkdir()
    subprocess.run([require("mount", "mount"), "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def play(case: Case, home: Home) -> int:
    """Let it happen. The exit code of the update, or minus the signal that ended it."""
    if case.event == "broken release":
        return home.updater("update", "--yes", "--to", case.to).returncode
    waits = case.event in ("hang", "second", "lock-lost")
    event = "wait" if waits else "kill" if case.event == "reboot" else case.event
    process = home.drive(case.to, case.state, event)
    try:
        return process.wait(180) if not waits else _meanwhile(case, home, process)
    finally:
        process.kill()
        process.wait()


def _meanwhile(case: Case, home: Home, process: subprocess.Popen[str]) -> int:
    """A second updater starts while the first is at work; then the first goes on, or is killed."""
    deadline = time.monotonic() + 90
    while not (home.folder / "reached").exists():
        assert process.poll() is None and time.monotonic() < deadline, (home.folder / "driver.log").read_text()
        time.sleep(0.02)
    if case.event == "lock-lost":
        (home.path / ".updater/lock").unlink()
    second = home.updater("update", "--yes", "--to", "1.1.0")
    assert second.returncode == 5, second.stderr
    assert f"process {process.pid}" in second.stderr
    assert home.updater("status").returncode == 0
    if case.event == "hang":
        process.send_signal(signal.SIGKILL)
    else:
        (home.folder / "go").touch()
    return process.wait(180)


def judge(case: Case, home: Home, code: int, kept: Template) -> None:
    """OLD or NEW as a whole, served by the real server, and everything tells the truth about it."""
    log = home.folder / "driver.log"
    said = log.read_text() if log.exists() else ""
    now = home.picture()
    want = kept.old if now.version == kept.old.version else kept.new
    assert now.version == want.version, said
    assert {p: v for p, v in now.files.items() if want.files.get(p) != v} == {}, said
    assert want.files.keys() - now.files.keys() == set(), said
    assert now.tables == want.tables, said
    assert not case.ends or case.ends == ("old" if want is kept.old else "new"), said
    if code >= 0:
        assert (code == 0) == (want is kept.new) or code in (1, 4), (code, said)
    assert home.answers() == want.version, said
    assert home.leftovers() == [], said
    assert home.status() not in ("running", "stuck"), said
    last = home.last_update()
    assert not last or (last["result"] == "done") == (want is kept.new), (last, said)
    again = home.updater("recover")
    assert again.returncode == 0, again.stderr
    assert home.picture() == now


def run_case(case: Case, kept: Template, folder: Path, *, follow: bool) -> None:
    with ExitStack() as opened:
        place = opened.enter_context(small_disk(folder / "disk")) if case.event == "full" else folder
        home = kept.copy(place)
        opened.callback(kept.end, home)
        home.configure()
        home.serve("start")
        code = play(case, home)
        if case.event == "reboot":
            home.serve("stop")
            (home.folder / "boot_id").write_text("another boot")
            done = home.run("-c", RECOVER_AFTER_BOOT, str(home.folder / "boot_id"), "recover", "--site", str(home.path))
            assert done.returncode == 0, done.stderr
            home.serve("start")
        done = home.updater("recover")
        if case.event == "full" and case.state in BACK and done.returncode == 4:
            # somebody took the ballast as soon as it was given up: everything is kept until there is room again
            (home.folder / "filler").unlink()
            done = home.updater("recover")
        assert done.returncode == 0, done.stderr  # also while the disk is still full
        (home.folder / "filler").unlink(missing_ok=True)
        judge(case, home, code, kept)
        if follow and home.picture().version == "1.0.0":
            done = home.updater("update", "--yes", "--to", "1.1.0")
            assert done.returncode == 0, done.stderr
            assert home.answers() == "1.1.0"


@pytest.mark.slow
def test_a_sample(feed, tmp_path):
    with template(KINDS[0], tmp_path / "kept", feed) as kept:
        for name in SAMPLE:
            (case,) = (case for case in CASES if case.name == name)
            run_case(case, kept, tmp_path, follow=False)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_state_meets_every_event(kind, part, feed, tmp_path):
    cases = [case for case in CASES if case.kind == kind][part::PARTS]
    with Figures(f"states and events, {kind.name}") as figures, template(kind, tmp_path / "kept", feed) as kept:
        for number, case in enumerate(cases):
            folder = tmp_path / f"{number}"
            folder.mkdir()
            try:
                run_case(case, kept, folder, follow=number % 4 == 0)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                figures.wrong(f"{case.name}: {type(error).__name__} {str(error)[:1500]}")
            figures.add("cases")


def test_there_are_enough_cases():
    assert len(CASES) >= 130
    assert len({case.name for case in CASES}) == len(CASES)
