"""The app's own Python, asked what it is and which packages it has (standard library only)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from updater.errors import CommandError
from updater.frozen import frozen
from updater.process.run import run

__all__ = ["Interpreter", "ask_interpreter", "python_of"]

TIMEOUT = 15.0
"""Seconds for the answer."""

_MARK = "tagship-interpreter:"
_SCRIPT = """
import sys
sys.path[:] = [path for path in sys.path if path]
import json, os, platform
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None
kind = sys.implementation
release = kind.version
full = "%d.%d.%d" % release[:3] + ("" if release[3] == "final" else release[3][0] + str(release[4]))
print(%(mark)r + json.dumps({"markers": {
    "implementation_name": kind.name, "implementation_version": full, "os_name": os.name,
    "platform_machine": platform.machine(), "platform_release": platform.release(),
    "platform_system": platform.system(), "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "platform_python_implementation": platform.python_implementation(),
    "python_version": ".".join(platform.python_version_tuple()[:2]), "sys_platform": sys.platform,
}, "versions": {name: version(name) for name in sys.argv[1:]}}))
""".replace("%(mark)r", repr(_MARK))


@frozen
class Interpreter:
    """``command`` starts it; ``markers`` are PEP 508's; ``versions``: what is installed of the packages asked about,
    None for what is not."""

    command: tuple[str, ...]
    markers: Mapping[str, str]
    versions: Mapping[str, str | None]

    @property
    def python(self) -> str:
        """Its version, such as 3.12.1."""
        return self.markers["python_full_version"]


def python_of(runner: Sequence[str]) -> tuple[str, ...]:
    """The beginning of ``[commands] runner`` that starts a Python, such as ``docker compose exec web python``; empty
    when there is none in it."""
    for index, word in enumerate(runner):
        if re.fullmatch(r"(python|pypy)[0-9.]*(\.exe)?", word.rpartition("/")[2]):
            return tuple(runner[: index + 1])
    return ()


def ask_interpreter(
    runner: Sequence[str], names: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Interpreter | None:
    """Ask the runner's Python about packages by name. None when there is none, or it does not answer."""
    command = python_of(runner)
    if not command:
        return None
    try:
        done = run([*command, "-c", _SCRIPT, *names], cwd=cwd, env=env, timeout=TIMEOUT)
        line = next(line for line in done.output.splitlines() if line.startswith(_MARK))
        said = json.loads(line.removeprefix(_MARK))
        markers = {str(name): str(value) for name, value in said["markers"].items()}
        versions = {str(name): None if found is None else str(found) for name, found in said["versions"].items()}
    except (CommandError, StopIteration, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Interpreter(command, markers, versions) if "python_full_version" in markers else None
