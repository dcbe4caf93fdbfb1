"""Which code does a fresh process really run? Run as a program, without site-packages and with bytecode on.

Reads ``{"tree": DIR, "modules": [PATH, ...], "apps": [NAME, ...]}`` from standard input, imports each module (Django is
set up with ``apps`` first, when there are any), and compares the code object that the import system took, from source
or from a ``.pyc``, with the source on disk compiled now. Writes one JSON object: ``imported`` and ``loaded`` (modules
that cannot be imported alone, for want of a database driver, say; their code is taken through the same loader),
``stale`` (modules that ran other code than their source), ``versions`` (``__version__`` or ``VERSION`` of each package
at the top).
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from importlib._bootstrap_external import SourceLoader  # type: ignore[import-not-found]
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

taken: dict[str, CodeType] = {}
_get_code = SourceLoader.get_code


def get_code(self: Any, fullname: str) -> CodeType:
    """What `SourceLoader.get_code` gives, remembered: this is the code that is executed."""
    taken[fullname] = code = _get_code(self, fullname)
    return code


def dotted(path: str) -> str:
    """``pkg/__init__.py`` as ``pkg``, ``pkg/mod.py`` as ``pkg.mod``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def set_up_django(apps: list[str]) -> None:
    """A project that has these apps, its database in memory."""
    import django
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=apps,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SECRET_KEY="only for this check",
        ROOT_URLCONF="wagtail.urls",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        STATIC_URL="/static/",
        WAGTAIL_SITE_NAME="check",
        WAGTAILADMIN_BASE_URL="http://localhost",
        USE_TZ=True,
    )
    django.setup()


def versions(names: list[str]) -> dict[str, str]:
    """What the imported packages say they are."""
    found = {}
    for name in names:
        module = sys.modules.get(name)
        version = getattr(module, "__version__", None) or getattr(module, "VERSION", None)
        if version is not None:
            found[name] = str(version)
    return found


def main() -> None:
    asked = json.load(sys.stdin)
    tree = Path(asked["tree"])
    sys.path.insert(0, asked["tree"])
    SourceLoader.get_code = get_code
    warnings.simplefilter("ignore")
    if asked.get("apps"):
        set_up_django(asked["apps"])
    imported, loaded, stale = [], [], []
    for path in asked["modules"]:
        name, full = dotted(path), tree / path
        try:
            importlib.import_module(name)
            imported.append(path)
        except BaseException:
            if name not in taken:
                SourceFileLoader(name, str(full)).get_code(name)
            loaded.append(path)
        if taken[name] != compile(full.read_bytes(), str(full), "exec", dont_inherit=True):
            stale.append(path)
    tops = sorted({path.partition("/")[0].removesuffix(".py") for path in asked["modules"]})
    json.dump({"imported": imported, "loaded": loaded, "stale": stale, "versions": versions(tops)}, sys.stdout)


if __name__ == "__main__":
    main()
