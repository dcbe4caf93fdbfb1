"""The ``updater`` command: argparse over the library. Importing it loads only the standard library."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code (docs/exit-codes.md)."""
    from updater.cli.console import Console
    from updater.cli.failures import Failures
    from updater.cli.parser import build_parser
    from updater.cli.signals import interruptible

    console = Console()
    with Failures(console) as failures:
        args = build_parser().parse_args(argv)
        if args.run is None:
            build_parser().print_help()
            return 2
        console.level = getattr(args, "verbose", False) - getattr(args, "quiet", False)
        console.json = getattr(args, "json", False)
        with interruptible(console):
            failures.code = int(args.run(args, console))
    return failures.code
