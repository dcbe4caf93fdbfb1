"""The manifest's commands: what is allowed, what is refused and why, and how they run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from updater.errors import CommandError
from updater.process import plan_commands, run_manifest_command
from updater.schema.site_config import CommandsConfig

MANAGE = CommandsConfig(runner=("python", "manage.py"), allow=("migrate", "collectstatic"))


def argv_of(command: str, config: CommandsConfig = MANAGE) -> tuple[str, ...]:
    (planned,) = plan_commands([command], config)
    assert not planned.refusal
    return planned.argv


def refusal_of(command: str, config: CommandsConfig = MANAGE) -> str:
    (planned,) = plan_commands([command], config)
    assert planned.argv == ()
    return planned.refusal


def test_the_runner_stands_before_the_words() -> None:
    assert argv_of("migrate --noinput") == ("python", "manage.py", "migrate", "--noinput")


def test_words_are_split_like_a_shell_would() -> None:
    assert argv_of("""migrate 'a b' "c d" e\\ f""")[3:] == ("a b", "c d", "e f")


def test_a_shell_s_signs_are_only_characters() -> None:
    assert argv_of("migrate; rm -rf / && $(x) `y` | z > f".replace("migrate;", "migrate ;"))[3:] == (
        *(";", "rm", "-rf", "/", "&&", "$(x)", "`y`", "|", "z", ">", "f"),
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("flush --noinput", "'flush' is not on the allow-list"),
        ("migrate; flush", "'migrate;' is not on the allow-list"),
        ("--settings=evil migrate", "not on the allow-list"),
        ("", "is empty"),
        ("   ", "is empty"),
        ("migrate 'open", "cannot be split"),
        ("migrate a\0b", "NUL"),
        ("Migrate", "not on the allow-list"),
        ("./migrate", "not on the allow-list"),
    ],
)
def test_refused(command: str, reason: str) -> None:
    assert reason in refusal_of(command)


def test_nothing_is_allowed_unless_said() -> None:
    assert "allow: nothing" in refusal_of("migrate", CommandsConfig(runner=("python",)))


def test_one_refusal_does_not_hide_the_others() -> None:
    planned = plan_commands(["migrate", "flush", "collectstatic"], MANAGE)
    assert [bool(item.refusal) for item in planned] == [False, True, False]
    assert [item.command for item in planned] == ["migrate", "flush", "collectstatic"]


def runner(code: str, **options: object) -> CommandsConfig:
    return CommandsConfig(runner=(sys.executable, "-c", code), allow=("migrate",), **options)  # type: ignore[arg-type]


def test_runs_in_the_site_with_the_configured_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "1")
    code = "import os, sys; print(os.getcwd(), sys.argv[1:], os.environ['A'], os.environ['FROM_OUTSIDE'])"
    lines: list[str] = []
    done = run_manifest_command("migrate x", runner(code, env={"A": "2"}), tmp_path, lines.append)
    assert lines == [f"{tmp_path} ['migrate', 'x'] 2 1"]
    assert done.returncode == 0


def test_a_failing_command_says_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="exited with 3") as caught:
        run_manifest_command("migrate", runner("import sys; print('no such table'); sys.exit(3)"), tmp_path)
    assert caught.value.output == "no such table"
    assert caught.value.hint


def test_its_timeout(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"within 0\.3 seconds"):
        run_manifest_command("migrate", runner("import time; time.sleep(60)", timeout=0.3), tmp_path)


def test_a_refused_command_never_starts(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(CommandError, match="refused") as caught:
        run_manifest_command("flush", runner(f"open({str(mark)!r}, 'w')"), tmp_path)
    assert not mark.exists()
    assert "allow" in caught.value.hint
