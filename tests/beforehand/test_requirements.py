"""What a release requires of the app's Python, asked of a real one in a process of its own."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import packaging
import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.process.interpreter import Interpreter, ask_interpreter, python_of
from updater.requirements import check_packages, package_names

APP = Interpreter(
    ("python",),
    {"python_full_version": "3.12.1", "python_version": "3.12", "sys_platform": "linux"},
    {"django": "5.1.7", "pillow": None, "rc": "2.0rc1"},
)


@pytest.mark.parametrize(
    ("required", "problem"),
    [
        ("django>=5.0", ""),
        ("django>=5.2", "needs django>=5.2, the app's Python has django 5.1.7"),
        ("pillow", "needs pillow, the app's Python has no pillow"),
        ("django[argon2]>=5", ""),
        ("rc>=2.0rc1", ""),
        ("django>=9; sys_platform == 'win32'", None),
        ("django>=9; python_version >= '3.12'", "needs django>=9; python_version >= '3.12', the app's"),
        ("django >< 5", "its requirement on packages, 'django >< 5', cannot be read"),
    ],
)
def test_rows(required: str, problem: str | None) -> None:
    rows = check_packages([required], APP)
    if problem is None:
        assert rows == ()
        return
    assert rows[0].problem.startswith(problem)
    assert rows[0].ok is (problem == "")


def test_without_an_interpreter_nothing_is_known() -> None:
    (row,) = check_packages(["django>=5"], None)
    assert (row.ok, row.found, row.problem) == (None, None, "")


@given(st.lists(st.text(max_size=30), max_size=4))
def test_any_text_can_be_checked(texts: list[str]) -> None:
    assert len(check_packages(texts, APP)) <= len(texts)
    assert len(package_names(texts)) <= len(texts)


@pytest.mark.parametrize(
    ("runner", "python"),
    [
        (["python", "manage.py"], ("python",)),
        (["/srv/shop/venv/bin/python3.12", "-W", "error", "manage.py"], ("/srv/shop/venv/bin/python3.12",)),
        (["sudo", "-u", "shop", "python3", "manage.py"], ("sudo", "-u", "shop", "python3")),
        (
            ["docker", "compose", "exec", "-T", "web", "python", "x"],
            ("docker", "compose", "exec", "-T", "web", "python"),
        ),
        (["./manage.sh"], ()),
        (["pythonic", "x"], ()),
        ([], ()),
    ],
)
def test_the_python_in_a_runner(runner: list[str], python: tuple[str, ...]) -> None:
    assert python_of(runner) == python


def ask(runner: list[str], *names: str, cwd: Path = Path("/"), env: dict[str, str] | None = None) -> Interpreter | None:
    return ask_interpreter(runner, names, cwd=cwd, env=dict(os.environ) if env is None else env)


def test_a_real_interpreter() -> None:
    found = ask([sys.executable, "manage.py"], "packaging", "No-Such_Package")
    assert found is not None
    assert found.python == platform.python_version()
    assert found.versions == {"packaging": packaging.__version__, "No-Such_Package": None}
    assert found.markers["sys_platform"] == sys.platform
    (row,) = check_packages(["packaging>=1; python_version>='3.8' and implementation_name=='cpython'"], found)
    assert row.ok is True


def test_the_site_s_own_modules_are_not_taken_for_the_library_s(tmp_path: Path) -> None:
    """The tree may have a json.py or a platform.py at its top; nothing of the app runs."""
    for name in ("json", "platform", "importlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the app ran')\n")
    assert ask([sys.executable, "manage.py"], "packaging", cwd=tmp_path) is not None


@pytest.mark.parametrize("runner", [["no-such/python"], ["python9"], ["sh", "-c", "exit 0"]])
def test_a_runner_that_cannot_be_asked(runner: list[str]) -> None:
    assert ask(runner, "packaging") is None


def test_one_that_hangs_or_babbles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("updater.process.interpreter.TIMEOUT", 0.3)
    python = tmp_path / "python"
    for script in ("exec sleep 60", "echo hello", "echo 'tagship-interpreter:[1]'", "echo 'tagship-interpreter:{'"):
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        assert ask([str(python)], "packaging") is None
