"""``[python]`` of updater.toml: who installs the app's packages (docs/formats.md section 7). Standard library only."""

from __future__ import annotations

from updater.frozen import frozen
from updater.schema.document import Reader
from updater.schema.paths import check_path

__all__ = ["PythonConfig", "read_python"]


@frozen
class PythonConfig:
    """``environment``: the symlink, below the site, to the virtual environment of the running release; empty: packages
    are the owner's own business. ``python`` makes environments; ``index``: whether packages that the release does not
    bring may come from a package index. ``timeout``: seconds for making one."""

    environment: str = ""
    python: str = "python3"
    index: bool = True
    timeout: float = 1800.0


def read_python(section: Reader) -> PythonConfig:
    """Read the table; what is wrong is noted in ``section``."""

    def check_environment(text: str) -> None:
        check_path(text)
        if text.startswith(".environments"):
            raise ValueError("must not lie in .environments/, where the environments themselves are")

    return PythonConfig(
        environment=section.text("environment", default="", check=check_environment, empty=True),
        python=section.text("python", default=PythonConfig.python),
        index=section.flag("index", default=True),
        timeout=section.number("timeout", default=1800.0, minimum=1),
    )
