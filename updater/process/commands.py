"""The manifest's commands: split like a shell would, run without one, and only those the owner allows.

Source: docs/formats.md sections 4 (``post_update_commands``) and 7 (``[commands]``).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from updater.errors import CommandError
from updater.frozen import frozen
from updater.process.run import Completed, OnLine, run
from updater.schema.site_config import CommandsConfig

__all__ = ["PlannedCommand", "plan_commands", "run_manifest_command"]


@frozen
class PlannedCommand:
    """A manifest's command and either the argv that it runs as, or (argv empty) why it is refused."""

    command: str
    argv: tuple[str, ...] = ()
    refusal: str = ""


def plan_commands(commands: Iterable[str], config: CommandsConfig) -> list[PlannedCommand]:
    """What would run for each command, in order. Pure: nothing is started."""
    return [_plan(command, config) for command in commands]


def _plan(command: str, config: CommandsConfig) -> PlannedCommand:
    try:
        words = shlex.split(command)
    except ValueError as error:
        return PlannedCommand(command, refusal=f"{command!r} cannot be split into words: {error}")
    if not words:
        return PlannedCommand(command, refusal="the command is empty")
    if "\0" in command:
        return PlannedCommand(command, refusal=f"{command!r} holds a NUL character")
    if words[0] not in config.allow:
        allowed = ", ".join(config.allow) or "nothing"
        reason = f"{words[0]!r} is not on the allow-list of updater.toml ([commands] allow: {allowed})"
        return PlannedCommand(command, refusal=reason)
    if words[0] in config.elsewhere:
        return PlannedCommand(command, refusal="this server follows: the one that leads runs it")
    return PlannedCommand(command, argv=(*config.runner, *words))


def run_manifest_command(
    command: str,
    config: CommandsConfig,
    cwd: Path,
    on_line: OnLine | None = None,
    *,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run one command in ``cwd`` with this process's environment and the configured one on top.

    Raises CommandError when it is refused, cannot be started, times out or does not exit with 0.
    """
    planned = _plan(command, config)
    if planned.refusal:
        raise CommandError(
            f"the release wants to run {command!r}, which is refused: {planned.refusal}",
            hint="If you trust it, add its first word to [commands] allow in updater.toml.",
        )
    env = {**os.environ, **config.env}
    done = run(planned.argv, cwd=cwd, env=env, timeout=config.timeout, on_line=on_line, pass_fds=pass_fds)
    return done.check(hint="Its output says why; the update is undone.")
