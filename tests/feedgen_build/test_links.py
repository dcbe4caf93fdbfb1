"""Which symlinks a package may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedgen.build.links import LinkError, resolve
from feedgen.errors import BuildError
from tests.feedgen_build.repo import Repo, config


@pytest.mark.parametrize(
    ("links", "path", "place"),
    [
        ({"a/l": "b"}, "a/l", "a/b"),
        ({"a/l": "../x/./y"}, "a/l", "x/y"),
        ({"l": "m", "m": "d/e"}, "l", "d/e"),
        ({"d/up": "..", "l": "d/up/f"}, "l", "f"),
        ({"l": "."}, "l", ""),
    ],
)
def test_links_are_followed_like_a_kernel_does(links: dict[str, str], path: str, place: str) -> None:
    assert resolve(path, links) == place


@pytest.mark.parametrize(
    ("links", "path", "says"),
    [
        ({"deep/er/up": "../../top", "s": "deep/er/up/../.."}, "s", "through another link"),
        ({"a": "b", "b": "/etc"}, "a", "through another link"),
        ({"a": "b", "b": "a"}, "a", "circle"),
        ({"a": "a/x"}, "a", "circle"),
    ],
)
def test_links_that_lead_nowhere_good(links: dict[str, str], path: str, says: str) -> None:
    with pytest.raises(LinkError, match=says):
        resolve(path, links)


def problems(tmp_path: Path, files: dict[str, bytes | str | None], build: str = "") -> tuple[str, ...]:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", files)
    with pytest.raises(BuildError) as caught:
        repo.build("v1.0.0", tmp_path, config(build=build))
    return caught.value.problems


def test_every_link_that_leaves_is_named(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "absolute": "-> /etc/passwd",
            "d/above": "-> ../../x",
            "deep/er/up": "-> ../../top",
            "chain": "-> deep/er/up/../..",
            "loop": "-> loop",
            "top/f": "x",
            "windows": "-> C:\\x",
            "strange": "-> a\x07b",
        },
    )
    assert [problem.split("'")[1] for problem in found] == [
        "absolute",
        "chain",
        "d/above",
        "loop",
        "strange",
        "windows",
    ]


def test_a_target_that_was_excluded_is_a_mistake(tmp_path: Path) -> None:
    found = problems(tmp_path, {"l": "-> tests/data", "tests/data/f": "x", "a": "x"}, 'exclude = ["tests/"]')
    assert found == ("'l' links to 'tests/data', which is excluded; include the target or exclude the link",)


def test_a_target_that_the_site_makes_is_remarked_unless_preserved(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"media": "-> shared/media", "ok": "-> dir", "dir/f": "x"})
    remarks = repo.build("v1.0.0", tmp_path).remarks
    assert "'media' links to 'shared/media', which the package does not hold." in remarks
    assert not any("'ok'" in remark for remark in remarks)
    preserved = repo.build("v1.0.0", tmp_path, config(release='preserve = ["/shared/"]')).remarks
    assert not any("'media'" in remark for remark in preserved)
