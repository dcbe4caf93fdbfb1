"""The app's own requirements: every one has to be pinned by hash, or a site would run what nobody has signed."""

from __future__ import annotations

from feedgen.errors import BuildError

__all__ = ["check_requirements"]


def check_requirements(path: str, data: bytes) -> None:
    """Raise BuildError, with every line that is wrong, unless ``data`` is a requirements file for ``pip install
    --require-hashes``: `pip-compile --generate-hashes` and `uv pip compile --generate-hashes` write such.

    Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    try:
        text = data.decode("utf-8").replace("\\\n", " ").replace("\\\r\n", " ")
    except UnicodeDecodeError as error:
        raise BuildError(f"{path} is not UTF-8 text") from error
    problems = []
    for line in text.splitlines():
        wanted = line.partition(" #")[0].strip()
        if not wanted or wanted.startswith("#"):
            continue
        if wanted.startswith("-"):
            problems.append(f"{wanted[:100]!r}: options are the site's to choose")
        elif "--hash=sha256:" not in wanted:
            problems.append(f"{wanted[:100]!r} has no --hash=sha256:…")
    if problems:
        raise BuildError(
            f"{path} does not pin every package by hash:",
            problems=problems,
            hint="Write it with 'pip-compile --generate-hashes' or 'uv pip compile --generate-hashes'.",
        )
