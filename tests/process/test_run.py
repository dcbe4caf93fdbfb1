"""Real programs: how they end, what they print, and that none outlives its timeout."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from updater.errors import CommandError
from updater.process import run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if Path("/proc").exists() else True
    )


def gone(pid: int, seconds: float = 3.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_success() -> None:
    done = run(["true"], timeout=5)
    assert (done.returncode, done.output, done.argv) == (0, "", ("true",))
    assert done.check() is done


def test_exit_status_and_signal_are_told_apart() -> None:
    assert run(["sh", "-c", "exit 7"], timeout=5).outcome == "exited with 7"
    assert run(["sh", "-c", "kill -9 $$"], timeout=5).outcome == "was ended by SIGKILL"


def test_check_carries_the_output() -> None:
    done = run(["sh", "-c", "echo why >&2; exit 1"], timeout=5)
    with pytest.raises(CommandError, match="exited with 1") as caught:
        done.check(hint="Look.")
    assert (caught.value.output, caught.value.hint) == ("why", "Look.")


def test_lines_come_as_they_are_printed() -> None:
    seen: list[tuple[str, float]] = []
    started = time.monotonic()
    run(
        ["sh", "-c", "echo one; sleep 0.5; echo two >&2; printf three"],
        timeout=5,
        on_line=lambda line: seen.append((line, time.monotonic() - started)),
    )
    assert [line for line, _ in seen] == ["one", "two", "three"]
    assert seen[0][1] < 0.4 <= seen[1][1]


def test_output_is_not_text() -> None:
    lines: list[str] = []
    done = run(["printf", r"a\377b\r\nc"], timeout=5, on_line=lines.append)
    assert lines == ["a\ufffdb", "c"]
    assert "\ufffd" in done.output


def test_the_end_of_much_output_is_kept_in_little_memory() -> None:
    count = 0

    def on_line(line: str) -> None:
        nonlocal count
        count += 1

    done = run(["sh", "-c", "seq 200000"], timeout=20, on_line=on_line)
    assert count == 200_000
    assert done.output.endswith("200000")
    assert len(done.output) <= 16 * 1024


def test_all_output_is_taken_after_the_end() -> None:
    lines: list[str] = []
    code = "import sys; sys.stdout.write('x\\n' * 30000)"
    run([sys.executable, "-c", code], timeout=10, on_line=lines.append)
    assert len(lines) == 30_000


def test_a_line_without_end_is_handed_out_in_pieces() -> None:
    pieces: list[str] = []
    run([sys.executable, "-c", "print('x' * 100000, end='')"], timeout=10, on_line=pieces.append)
    assert sum(map(len, pieces)) == 100_000
    assert max(map(len, pieces)) <= 8 * 1024


def test_no_shell() -> None:
    assert run(["echo", "$HOME; exit 1 | cat"], timeout=5).output == "$HOME; exit 1 | cat"


def test_standard_input_is_empty() -> None:
    assert run(["cat"], timeout=5).output == ""


def test_folder_and_environment(tmp_path: Path) -> None:
    done = run(["sh", "-c", "pwd; echo $A"], timeout=5, cwd=tmp_path, env={"A": "b", "PATH": os.environ["PATH"]})
    assert done.output.splitlines() == [str(tmp_path), "b"]


def test_its_own_session() -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"
    assert run([sys.executable, "-c", code], timeout=5).output == "True"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no-such-program-here"], "'no-such-program-here' was not found"),
        ([], "cannot run"),
        (["a\0b"], "cannot run"),
        (["/"], "cannot run"),
    ],
)
def test_cannot_be_started(argv: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(argv, timeout=5)


def test_not_executable(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(CommandError, match="Permission denied") as caught:
        run([str(script)], timeout=5)
    assert "executable" in caught.value.hint


def test_folder_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"the folder .*nope does not exist"):
        run(["true"], timeout=5, cwd=tmp_path / "nope")


def test_timeout_ends_the_whole_group() -> None:
    lines: list[str] = []
    with pytest.raises(CommandError, match=r"did not end within 0\.5 seconds") as caught:
        run(["sh", "-c", "sleep 60 & echo $!; echo waiting; wait"], timeout=0.5, on_line=lines.append)
    assert "waiting" in caught.value.output
    assert gone(int(lines[0]))


def test_who_ignores_TERM_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["updater.process.run"], "TERM_GRACE", 0.3)
    lines: list[str] = []
    started = time.monotonic()
    with pytest.raises(CommandError):
        run(["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done"], timeout=0.3, on_line=lines.append)
    assert time.monotonic() - started < 3
    assert gone(int(lines[0]))


def test_a_timeout_gives_time_to_clean_up(tmp_path: Path) -> None:
    mark = tmp_path / "cleaned"
    with pytest.raises(CommandError):
        run(["sh", "-c", f"trap 'touch {mark}; exit' TERM; while :; do sleep 0.05; done"], timeout=0.3)
    assert mark.exists()


def test_a_daemon_is_left_alone_and_not_waited_for() -> None:
    """A restart command may leave a server behind that keeps the output pipe open."""
    started = time.monotonic()
    done = run(["sh", "-c", "sleep 30 & echo $!"], timeout=20)
    assert time.monotonic() - started < 5
    pid = int(done.output)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_listener_that_fails_ends_the_program() -> None:
    def on_line(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError) as caught:
        run(["sh", "-c", "echo $$; sleep 60"], timeout=20, on_line=on_line)
    assert gone(int(str(caught.value)))


def test_a_lock_is_held_as_long_as_the_program_runs(tmp_path: Path) -> None:
    """Killed, the updater leaves its running command behind; the lock that was passed on says so."""
    code = (
        "import fcntl, os, sys; from updater.process import run\n"
        f"fd = os.open({str(tmp_path / 'lock')!r}, os.O_CREAT | os.O_RDWR); fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "run(['sh', '-c', 'echo $$; exec sleep 30'], timeout=60, pass_fds=[fd], on_line=lambda s: print(s, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        parent.kill()
    with (tmp_path / "lock").open("rb") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(child, signal.SIGKILL)
        assert gone(child)
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_messages_do_not_show_long_command_lines() -> None:
    done = run(["sh", "-c", "exit 1", "x", "secret"], timeout=5)
    with pytest.raises(CommandError) as caught:
        done.check()
    assert "secret" not in str(caught.value)
