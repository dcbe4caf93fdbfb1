"""``feedgen build``: the package of one tag, on disk. Nothing is signed or published."""

from __future__ import annotations

import json
from pathlib import Path

import click

from feedgen.build import BuiltRelease, build_checked, build_release, config_at_tag

__all__ = ["build_command"]


@click.command("build")
@click.argument("tag")
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Folder for the package.",
)
@click.option(
    "--repo",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="The app's git repository.",
)
@click.option("--check", is_flag=True, help="Build twice and fail unless both packages are equal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def build_command(tag: str, output: Path, repo: Path, *, check: bool, as_json: bool) -> None:
    """Build the package of TAG from what git tracks there, whatever the working tree looks like."""
    config = config_at_tag(repo, tag)
    built = (build_checked if check else build_release)(repo, tag, output, config)
    click.echo(json.dumps(_as_json(built), indent=2) if as_json else _as_text(built, checked=check))


def _as_json(built: BuiltRelease) -> dict[str, object]:
    return {
        "version": built.version,
        "channel": built.channel,
        "commit": built.commit,
        "package": str(built.package_path),
        "size": built.size,
        "sha256": built.sha256,
        "files": len(built.manifest.files),
        "deleted": list(built.manifest.deleted),
        "migrations": list(built.manifest.migrations),
        "previous": built.previous_version,
        "stop": built.previous_version if built.removed_migrations else None,
        "remarks": list(built.remarks),
    }


def _as_text(built: BuiltRelease, *, checked: bool) -> str:
    since = f" since {built.previous_version}" if built.previous_version else ""
    lines = [
        f"Built {built.package_path}" + (" twice, with equal bytes" if checked else ""),
        f"  version  {built.version} ({built.channel}), commit {built.commit[:12]}",
        f"  files    {len(built.manifest.files)}, {len(built.manifest.deleted)} deleted{since}",
        f"  size     {built.size:,} bytes",
        f"  sha256   {built.sha256}",
    ]
    if built.manifest.migrations:
        lines.append(f"  new migrations: {', '.join(built.manifest.migrations)}")
    return "\n".join([*lines, *(f"note: {remark}" for remark in built.remarks)])
