"""The optional build command: run in a clean, temporary checkout of the tag, and only its outputs are taken."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from feedgen.build.selection import TreeFile, chosen
from feedgen.errors import BuildError
from feedgen.source.git import Commit

__all__ = ["COMMAND_TIMEOUT", "run_build_command"]

COMMAND_TIMEOUT = 1800.0
"""Seconds that a build command may take."""

_TAIL_LINES = 40
_PASSED_ON = (
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "PYENV_ROOT",
    "SYSTEMROOT",
)


@contextmanager
def run_build_command(
    command: tuple[str, ...],
    tree: Mapping[str, TreeFile],
    outputs: tuple[str, ...],
    *,
    exclude: tuple[str, ...],
    commit: Commit,
    version: str,
    timeout: float = COMMAND_TIMEOUT,
) -> Iterator[dict[str, TreeFile]]:
    """Lay out ``tree`` in a temporary folder, run ``command`` there, and give the files that match ``outputs``.

    They can be read until the block ends. ``tree`` is everything that git tracks at the tag, excluded files included;
    there is no ``.git``. The environment is PATH and proxy settings, an empty HOME, ``LC_ALL=C.UTF-8``, ``TZ=UTC``,
    ``SOURCE_DATE_EPOCH`` (the commit's time), ``FEEDGEN_VERSION`` and ``FEEDGEN_COMMIT``; nothing else of ours, and so
    no secrets. ``timeout`` in seconds. Raises BuildError when the command fails, with the end of what it printed, and
    when a glob of ``outputs`` matches nothing.
    """
    with tempfile.TemporaryDirectory(prefix="feedgen-build-") as name:
        checkout, home = Path(name, "checkout"), Path(name, "home")
        home.mkdir()
        _lay_out(checkout, tree.values(), commit.date.timestamp())
        environment = _environment(home, commit, version)
        with tempfile.TemporaryFile() as log:
            _run(command, checkout, environment, log, timeout)
        yield _collect(checkout, outputs, exclude)


def _environment(home: Path, commit: Commit, version: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(int(commit.date.timestamp())),
        "FEEDGEN_COMMIT": commit.id,
        "FEEDGEN_VERSION": version,
    }


def _lay_out(checkout: Path, files: Iterable[TreeFile], moment: float) -> None:
    checkout.mkdir()
    # Links last: a file whose path leads through a link would be written elsewhere.
    for file in sorted(files, key=lambda file: file.symlink is not None):
        try:
            _put(checkout / file.path, file, moment)
        except OSError as error:
            raise BuildError(
                f"{file.path!r} cannot be laid out for the build command: {error.strerror}",
                hint="Check the repository with `git fsck`, and the space in the temporary folder.",
            ) from error


def _put(place: Path, file: TreeFile, moment: float) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if file.symlink is not None:
        place.symlink_to(file.symlink)
        return
    place.write_bytes(file.read())
    place.chmod(file.mode)
    os.utime(place, (moment, moment))


def _run(
    command: tuple[str, ...], folder: Path, environment: Mapping[str, str], log: IO[bytes], timeout: float
) -> None:
    shown = " ".join(command)
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
        )
    except OSError as error:
        raise BuildError(
            f"The build command cannot be started: {error.strerror}: {shown}",
            hint="Install it, or correct [build] command in feedgen.toml.",
        ) from error
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"The build command did not end within {timeout:g} seconds: {shown}", problems=_tail(log)
        ) from error
    finally:
        _stop_group(process)
    if status:
        raise BuildError(
            f"The build command failed with status {status}: {shown}",
            problems=_tail(log),
            hint="It runs in a clean checkout of the tag, with an empty HOME and without your environment.",
        )


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    """End what the command left running, too: it could still be changing the outputs."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _tail(log: IO[bytes]) -> list[str]:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 16_384))
    return log.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]


def _collect(checkout: Path, outputs: tuple[str, ...], exclude: tuple[str, ...]) -> dict[str, TreeFile]:
    files = dict(_walk(checkout))
    missing = [glob for glob in outputs if not any(chosen(path, (glob,), exclude) for path in files)]
    if missing:
        raise BuildError(
            "The build command made nothing that these globs match (after exclude):",
            problems=missing,
            hint="Correct [build] outputs in feedgen.toml, or the command.",
        )
    return {path: file for path, file in files.items() if chosen(path, outputs, exclude)}


def _walk(checkout: Path) -> Iterator[tuple[str, TreeFile]]:
    for folder, folders, names in os.walk(checkout):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*names, *links]:
            place = Path(folder, name)
            path = place.relative_to(checkout).as_posix()
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(place)
                yield path, TreeFile(path, _link_reader(target), mode=0, symlink=target)
            elif stat.S_ISREG(status.st_mode):
                yield path, TreeFile(path, place.read_bytes, mode=0o755 if status.st_mode & 0o100 else 0o644)


def _link_reader(target: str) -> Callable[[], bytes]:
    return lambda: os.fsencode(target)
