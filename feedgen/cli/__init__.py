"""The ``feedgen`` command. Commands are loaded when they are asked for; each lives in a module of its own."""

from __future__ import annotations

from importlib import import_module

import click

from feedgen import __version__
from feedgen.cli.console import report_errors

__all__ = ["cli", "main"]

_COMMANDS = {
    "init": ("init", "init_command"),
    "build": ("build", "build_command"),
    "publish": ("publish", "publish_command"),
    "deltas": ("deltas", "deltas_command"),
    "list": ("releases", "list_command"),
    "diff": ("releases", "diff_command"),
    "apply": ("releases", "apply_command"),
    "promote": ("decide", "promote_command"),
    "rollout": ("rollout", "rollout_group"),
    "halt": ("decide", "halt_command"),
    "resume": ("decide", "resume_command"),
    "yank": ("decide", "yank_command"),
    "unyank": ("decide", "unyank_command"),
    "critical": ("decide", "critical_command"),
    "stop": ("decide", "stop_command"),
    "experiment": ("experiment", "experiment_group"),
    "notes": ("notes", "notes_group"),
    "advisory": ("advisory", "advisory_group"),
    "license": ("license", "license_group"),
    "stats": ("stats", "stats_command"),
    "republish": ("releases", "republish_command"),
    "prune": ("releases", "prune_command"),
    "refresh": ("refresh", "refresh_command"),
    "page": ("page", "page_command"),
    "root": ("root", "root_group"),
    "verify": ("verify", "verify_command"),
    "site": ("site", "site_group"),
    "workflow": ("workflow", "workflow_group"),
    "doctor": ("doctor", "doctor_command"),
}
"""Name of each command: its module and the command in it, in the order of a release's life."""


class _Commands(click.Group):
    """Loads commands on use, and turns every error into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(import_module(f"feedgen.cli.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{name} is not a command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        with report_errors(ctx):
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="feedgen")
def cli() -> None:
    """Publish releases that self-hosted sites update to: from a git tag to a package and a signed static feed.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings.
    """


def main() -> None:
    """Entry point of the ``feedgen`` program."""
    cli(prog_name="feedgen")
