"""Stopping and restarting the app, in the ways the owner configured (docs/formats.md section 7, ``[restart]``)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from updater.errors import CommandError
from updater.process.run import OnLine, run
from updater.schema.site_config import RestartConfig

__all__ = ["restart_app", "stop_app"]

_CLOCK_SLACK = 60.0
"""Seconds by which a process may seem younger than its pid file, for clocks that were set meanwhile."""


def stop_app(config: RestartConfig, site: Path, on_line: OnLine | None = None) -> None:
    """Run the stop command, if there is one. Raises CommandError."""
    if config.stop:
        done = run(config.stop, cwd=site, timeout=config.timeout, on_line=on_line)
        done.check(hint="Correct [restart] stop in updater.toml; nothing was changed yet.")


def restart_app(config: RestartConfig, site: Path, on_line: OnLine | None = None) -> None:
    """Run the restart command, touch the file, send the signal: those that are configured, in this order.

    Relative paths are below ``site``. Raises CommandError.
    """
    if config.command:
        done = run(config.command, cwd=site, timeout=config.timeout, on_line=on_line)
        done.check(hint="Correct [restart] command in updater.toml.")
    if config.touch:
        _touch(site / config.touch)
    if config.signal and config.pidfile:
        _send(config.signal, site / config.pidfile)


def _touch(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise CommandError(f"cannot touch {path}: {error}", hint="Check [restart] touch in updater.toml.") from error


def _send(name: str, pidfile: Path) -> None:
    """Signal the process of a pid file, unless that is stale: the number may belong to another process by now."""
    pid = _read_pid(pidfile)
    hint = "Is the app running? Check [restart] pidfile in updater.toml."
    try:
        os.kill(pid, 0)
        started = _start_time(pid)
        if started is not None and started > pidfile.stat().st_mtime + _CLOCK_SLACK:
            raise CommandError(f"{pidfile} is stale: process {pid} is younger than the file", hint=hint)
        os.kill(pid, signal.Signals[f"SIG{name}"])
    except ProcessLookupError as error:
        raise CommandError(f"{pidfile} names process {pid}, which does not run", hint=hint) from error
    except PermissionError as error:
        raise CommandError(
            f"this user may not signal process {pid} of {pidfile}",
            hint="Run the updater as the app's user, or use [restart] command.",
        ) from error
    except OSError as error:
        raise CommandError(f"cannot signal process {pid} of {pidfile}: {error}", hint=hint) from error


def _read_pid(pidfile: Path) -> int:
    try:
        with pidfile.open("rb") as file:
            words = file.read(64).split()
        pid = int(words[0])
    except OSError as error:
        raise CommandError(f"cannot read {pidfile}: {error}", hint="Is the app running?") from error
    except (IndexError, ValueError) as error:
        raise CommandError(f"{pidfile} does not begin with a process id") from error
    if not 1 < pid < 2**31 or pid == os.getpid():
        raise CommandError(f"{pidfile} names process {pid}, which cannot be the app")
    return pid


def _start_time(pid: int) -> float | None:
    """When a process started, as a Unix time; None where the system does not tell (no /proc)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        ticks = int(after_name.split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return None
