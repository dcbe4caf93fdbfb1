"""Our workflow files and what they install."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.lint_actions import scripts

ROOT = Path(__file__).parents[2]
FILES = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/action.yml")]
OURS = [path for path in FILES if path.name != "ci.yml"]


def locked() -> dict[str, str]:
    text = (ROOT / ".github/actions/setup/requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("project", ["pyproject.toml", "feedgen/pyproject.toml"])
def test_the_lock_has_what_the_distributions_need(project: str) -> None:
    versions = locked()
    data = tomllib.loads((ROOT / project).read_text(encoding="utf-8"))
    needed = [Requirement(text) for text in (*data["project"]["dependencies"], *data["build-system"]["requires"])]
    for requirement in needed:
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name == "tagship":
            continue
        assert name in versions, f"{requirement} is not locked: make lock"
        assert requirement.specifier.contains(versions[name]), f"{requirement}: {versions[name]} is locked"


def test_the_lock_names_no_index() -> None:
    text = (ROOT / ".github/actions/setup/requirements.txt").read_text(encoding="utf-8")
    assert "://" not in text
    names = re.findall(r"^[\w.-]+==", text, re.MULTILINE)
    assert len(names) == len(re.findall(r"^[\w.-]+==.*\\\n    --hash=sha256:", text, re.MULTILINE)) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_actions_are_pinned_and_credentials_dropped(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for used in re.findall(r"uses: (\S+)", text):
        assert used.startswith("$/") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert "cancel-in-progress: true" not in text or path.name == "ci.yml"


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_expression_reaches_a_script(path: Path) -> None:
    found = list(scripts(path.read_text(encoding="utf-8")))
    assert found
    assert not [script for _, script in found if "${{" in script]


@pytest.mark.parametrize("name", ["publish", "refresh", "operate"])
def test_keys_are_only_in_jobs_with_an_environment(name: str) -> None:
    text = (ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8")
    jobs = re.split(r"^  (?=[\w-]+:$)", text.partition("\njobs:\n")[2], flags=re.MULTILINE)
    with_keys = [job for job in jobs if "secrets." in job]
    assert len(with_keys) == 1, "one job has the keys"
    assert "\n    environment:\n" in with_keys[0]
    assert "id-token" not in with_keys[0]
    assert "queue: max" in with_keys[0]
