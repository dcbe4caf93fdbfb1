"""The shape of the code, kept by tests: who may import whom, what recovery may need, what is public (docs/adr)."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FEEDGEN_MAY_USE = (
    "updater.schema",
    "updater.trust",
    "updater.transport",
    "updater.package",
    "updater.delta",
    "updater.errors",
)
RECOVERY = ("errors", "events", "frozen", "schema", "package", "site", "install", "database", "process")
"""What runs between "staged" and "committed", and on every way back: standard library only (docs/adr/0003)."""
NOT_RECOVERY = ("updater/package/index/",)
"""What lies in these rooms and is used on the way forward alone."""
PURE = (
    "updater/schema/*.py",
    "updater/selection.py",
    "updater/install/changes.py",
    "updater/package/index/*.py",
    "updater/trust/names.py",
    "updater/transport/urls.py",
)
"""Decisions: time, bytes and state are their arguments."""
EDGES = {"os", "socket", "time", "subprocess", "requests", "shutil", "tempfile", "random", "secrets", "uuid"}
MOST_MODULES_OF_IMPORT_UPDATER = 40

MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for package in ("updater", "feedgen")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def dotted(file: str) -> str:
    """``updater/schema/__init__.py`` is ``updater.schema``."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(file: str, node: ast.AST | None = None) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; relative imports are written out."""
    package = file.rpartition("/")[0].replace("/", ".")
    for found in ast.walk(node or MODULES[file]):
        if isinstance(found, ast.Import):
            yield from (name.name for name in found.names)
        elif isinstance(found, ast.ImportFrom):
            base = found.module or ""
            if found.level:
                parent = package.rsplit(".", found.level - 1)[0] if found.level > 1 else package
                base = f"{parent}.{base}".rstrip(".")
            for name in found.names:
                submodule = f"{base}.{name.name}".replace(".", "/")
                exists = f"{submodule}.py" in MODULES or f"{submodule}/__init__.py" in MODULES
                yield f"{base}.{name.name}" if exists else base


def inside(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def of(package: str) -> list[str]:
    return [file for file in MODULES if file.startswith(f"{package}/")]


def test_the_client_never_imports_the_publisher():
    assert [(file, name) for file in of("updater") for name in imports(file) if inside(name, "feedgen")] == []


def test_the_publisher_imports_only_the_shared_rooms_of_the_client():
    wrong = [
        (file, name)
        for file in of("feedgen")
        for name in imports(file)
        if inside(name, "updater") and not inside(name, *FEEDGEN_MAY_USE)
    ]
    assert wrong == []


def test_the_core_does_not_know_its_plugins():
    core = [file for file in of("updater") if not file.startswith("updater/contrib/")]
    assert [(file, name) for file in core for name in imports(file) if inside(name, "updater.contrib")] == []
    everything_else = [*core, *of("feedgen")]
    assert [(file, name) for file in everything_else for name in imports(file) if inside(name, "django")] == []


def test_who_carries_requests_out_needs_no_django():
    """A broken app can still be rolled back from where its admin asked for it."""
    loaded = loaded_by("updater.contrib.django.runs.__main__")
    assert foreign(loaded) == []
    without = ("runs/", "looking.py", "checked.py", "policy.py", "notices/ledger.py", "owner_file.py")
    files = [file for file in MODULES if file.removeprefix("updater/contrib/django/").startswith(without)]
    assert len(files) > len(without)
    assert [(file, name) for file in files for name in imports(file) if inside(name, "django")] == []


def recovery_files() -> list[str]:
    rooms = [f"updater/{room}" for room in RECOVERY]
    return [
        file
        for file in of("updater")
        if any(file == f"{room}.py" or file.startswith(f"{room}/") for room in rooms)
        and not file.startswith(NOT_RECOVERY)
    ]


def test_recovery_imports_only_the_standard_library_even_lazily():
    allowed = [f"updater.{room}" for room in RECOVERY]
    wrong = [
        (file, name)
        for file in ["updater/__init__.py", *recovery_files()]
        for name in runtime_imports(file)
        if (name.partition(".")[0] not in {*sys.stdlib_module_names, "__future__"} and not inside(name, *allowed))
        or f"{name.replace('.', '/')}/".startswith(NOT_RECOVERY)
    ]
    assert wrong == []


def runtime_imports(file: str) -> Iterator[str]:
    """Like `imports`, without what only a type checker reads."""

    class Strip(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)

    yield from imports(file, Strip().visit(ast.parse(ast.unparse(MODULES[file]))))


PROBE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps({name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}))
"""


def loaded_by(*modules: str) -> dict[str, str | None]:
    """What importing ``modules`` loads in a Python without site-packages and environment."""
    command = [sys.executable, "-I", "-S", "-E", "-c", PROBE, str(ROOT), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def foreign(modules: dict[str, str | None]) -> list[str]:
    known = {*sys.stdlib_module_names, "updater"}
    return [
        name
        for name, file in modules.items()
        if name.partition(".")[0] not in known or "site-packages" in (file or "") or "dist-packages" in (file or "")
    ]


def test_recovery_runs_without_any_installed_package():
    files = recovery_files()
    assert len(files) > len(RECOVERY)
    loaded = loaded_by(*map(dotted, files))
    assert foreign(loaded) == []
    assert {dotted(file) for file in files} <= set(loaded)


def test_importing_the_client_is_cheap():
    """Counted in modules: milliseconds depend on the machine (docs/benchmarks.md has them)."""
    loaded = loaded_by("updater")
    assert foreign(loaded) == []
    assert len(loaded) <= MOST_MODULES_OF_IMPORT_UPDATER, sorted(loaded)


def pure_files() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for pattern in PURE for path in sorted(ROOT.glob(pattern))]


def test_every_pattern_of_pure_files_means_something():
    assert [pattern for pattern in PURE if not any(ROOT.glob(pattern))] == []


@pytest.mark.parametrize("file", pure_files())
def test_decisions_are_pure(file):
    assert {name.partition(".")[0] for name in imports(file)} & EDGES == set()
    clocks = [
        ast.unparse(node)
        for node in ast.walk(MODULES[file])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today")
    ]
    assert clocks == []
    assert [node for node in ast.walk(MODULES[file]) if isinstance(node, ast.Name) and node.id == "open"] == []


def public(names: Iterator[str] | list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def exported(file: str) -> set[str] | None:
    """The value of ``__all__``, read without importing."""
    for node in MODULES[file].body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return set(ast.literal_eval(node.value))
    return None


@pytest.mark.parametrize("file", [file for file in MODULES if file.endswith("__init__.py")])
def test_a_package_exports_what_it_imports(file):
    """What an ``__init__`` imports from its own package, at once or lazily, is its public interface."""
    tree = MODULES[file]
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and inside(node.module or "", dotted(file).partition(".")[0])
        for alias in node.names
    }
    if not imported and not public(defined):
        return
    names = exported(file)
    assert names is not None, "has no __all__"
    a_shop_window = not public(defined)  # otherwise it works with what it imports
    assert public(imported if a_shop_window else defined) <= names
    assert names - imported - defined - constants - {"__version__"} == set()
    module = importlib.import_module(dotted(file))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("file", [file for file in MODULES if exported(file) is not None])
def test_all_names_resolve(file):
    if file.startswith("updater/contrib/django/"):
        return  # needs configured Django settings
    module = importlib.import_module(dotted(file))
    assert [name for name in exported(file) or () if not hasattr(module, name)] == []


@pytest.mark.parametrize("file", MODULES)
def test_public_names_have_docstrings(file):
    tree = MODULES[file]
    where = [tree, *(node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))]
    missing = [
        getattr(node, "name", "the module")
        for node in where
        if not getattr(node, "name", "").startswith("_") and not ast.get_docstring(node) and tree.body
    ]
    assert missing == []


@pytest.mark.parametrize("file", MODULES)
def test_house_rules(file):
    """No printing in a library, no error swallowed without a reason, no deletion that hides its failure."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = []
    for node in ast.walk(MODULES[file]):
        if isinstance(node, ast.Call):
            if ast.unparse(node.func) == "print" and "/cli/" not in file and not file.endswith("/__main__.py"):
                found.append(f"{file}:{node.lineno}: print() outside the command line")
            if any(key.arg == "ignore_errors" and ast.unparse(key.value) == "True" for key in node.keywords):
                found.append(f"{file}:{node.lineno}: ignore_errors=True")
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            reason = re.search(r"noqa: BLE001\W+\w+", lines[node.lineno - 1])
            reraised = node.body and isinstance(node.body[-1], ast.Raise)
            if not caught or (re.search(r"\b(Base)?Exception\b", caught) and not (reason or reraised)):
                found.append(f"{file}:{node.lineno}: catches everything and does not say why")
    assert found == []
