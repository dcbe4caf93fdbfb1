"""Packages built elsewhere, notes from a file, and several components in one repository."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.feedgen_operations.conftest import Published
from tests.feedgen_publish.conftest import App


def build(app: App, tag: str, folder: Path) -> Path:
    app.run("build", tag, "--output", str(folder))
    return next(folder.glob("*.zip"))


def test_a_package_built_elsewhere_is_published_as_it_is(app: Published, tmp_path: Path) -> None:
    package = build(app, "v1.4.0", tmp_path / "dist")
    output = app.run("publish", "v1.4.0", "--package", str(package)).output
    assert "Verifying" in output
    assert "Building" not in output
    assert (app.site / "packages" / "shop-1.4.0.zip").read_bytes() == package.read_bytes()
    before = app.snapshot()
    assert "nothing changed" in app.run("publish", "v1.4.0", "--package", str(package)).output
    assert "nothing changed" in app.run("publish", "v1.4.0").output
    assert app.snapshot() == before
    app.run("verify")
    site = tmp_path / "shop"
    app.install(site)
    assert json.loads((site / "version.json").read_bytes())["version"] == "1.4.0"


def test_a_package_without_a_tag(app: Published, tmp_path: Path) -> None:
    package = build(app, "v1.4.0", tmp_path / "dist")
    app.git("tag", "-d", "v1.4.0")
    assert "no tag" in app.run("publish", "v1.4.0", "--package", str(package), code=1).output
    planned = app.run("publish", "--version", "1.4.0", "--package", str(package), "--dry-run").output
    assert "Would publish 1.4.0" in planned
    app.run("publish", "--version", "1.4.0", "--package", str(package))
    before = app.snapshot()
    assert "nothing changed" in app.run("publish", "--version", "1.4.0", "--package", str(package)).output
    assert app.snapshot() == before
    assert app.seen().releases[0].version == "1.4.0"
    app.run("republish", "1.4.0")
    app.run("verify")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "Name the TAG"),
        (("v1.4.0", "--version", "1.4.0"), "Name the TAG"),
        (("--version", "1.4.0"), "goes together with --package"),
        (("v1.0.0", "--package", "PACKAGE"), "is not the package of shop core 1.0.0"),
        (("--version", "2.0", "--package", "PACKAGE"), "update_manifest.json says shop core 1.4.0"),
        (("--version", "two", "--package", "PACKAGE"), "followed by a version"),
        (("v1.4.0", "--package", "feedgen.toml"), "is not a package that a site would install"),
        (("v1.4.0", "--package", "OTHER"), "is not a package that a site would install"),
        (("v1.4.0", "--package", "DAMAGED"), "is not a package that a site would install"),
        (("moved", "--package", "PACKAGE"), "was built from the commit"),
    ],
)
def test_refused_packages(app: Published, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    package = build(app, "v1.4.0", tmp_path / "dist")
    other, damaged = tmp_path / "other.zip", tmp_path / "damaged.zip"
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("app.py", "")
    data = bytearray(package.read_bytes())
    data[60] ^= 1
    damaged.write_bytes(data)
    if "moved" in arguments:
        app.release("v9.9.9")
        app.git("tag", "-f", "v1.4.0", "v9.9.9")
    known = {"PACKAGE": str(package), "OTHER": str(other), "DAMAGED": str(damaged), "moved": "v1.4.0"}
    before = app.snapshot()
    result = app.run("publish", *(known.get(word, word) for word in arguments), code=None)
    assert result.exit_code in (1, 2)
    assert expected in result.output
    assert app.snapshot() == before


def test_published_bytes_are_not_exchanged(app: Published, tmp_path: Path) -> None:
    package = build(app, "v1.4.0", tmp_path / "dist")
    app.release("v1.4.1")
    app.git("tag", "-f", "v1.4.0", "v1.4.1")
    app.run("publish", "v1.4.0")
    before = app.snapshot()
    result = app.run("publish", "--version", "1.4.0", "--package", str(package), code=1)
    assert "already published with other contents" in result.output
    assert app.snapshot() == before


def test_notes_from_a_file(app: Published, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("## What git-cliff says\n")
    app.run("publish", "v1.4.0", "--notes", str(notes))
    assert app.seen().releases[0].notes.markdown == "## What git-cliff says"
    app.run("notes", "edit", "1.4.0", "--text", "Better")
    assert "nothing changed" in app.run("publish", "v1.4.0", "--notes", str(notes)).output
    assert app.seen().releases[0].notes.markdown == "Better"
    notes.write_bytes(b"\xff")
    app.release("v1.5.0")
    assert "is not UTF-8" in app.run("publish", "v1.5.0", "--notes", str(notes), code=2).output


def test_several_components_in_one_repository(app: Published, tmp_path: Path) -> None:
    """A theme in a folder of its own: its own feedgen.toml, tags, keys, site, and its folder as the package's top."""
    folder = app.folder / "themes" / "dark"
    folder.mkdir(parents=True)
    theme = App(folder, app.keys.parent / "dark" / "keys")
    url = "https://acme.example/shop/dark/"
    (folder / "feedgen.toml").write_text(
        '[app]\nname = "shop"\ncomponent = "dark"\ndirectory = "themes/dark"\ntag_prefix = "dark-v"\n'
        '[release]\ncomponents = {core = ">=1.4,<2"}\n'
        f'[build]\nexclude = ["/feedgen.toml"]\n[publish]\nbase_url = "{url}"\n'
    )
    (folder / "dark.css").write_text("body {}\n")
    (folder / "CHANGELOG.md").write_text("## 1.0.0\n\n- Darker\n")
    theme.run("init")
    assert (theme.keys / "stable.pem").is_file()
    app.release("dark-v1.0.0")
    theme.run("publish", "dark-v1.0.0")
    theme.run("halt", "1.0.0")
    theme.run("resume", "1.0.0")
    theme.run("verify")
    feed = theme.feed("stable")
    assert (feed.app, feed.component, feed.releases[0].notes.markdown) == ("shop", "dark", "- Darker")
    assert feed.releases[0].directory == "themes/dark"
    assert feed.releases[0].requires.components == {"core": ">=1.4,<2"}
    assert (
        '[requires]\ncomponents = {"core" = ">=1.4,<2"}' in (folder / ".feedgen/site/releases/1.0.0.toml").read_text()
    )
    with zipfile.ZipFile(folder / ".feedgen" / "site" / "packages" / "shop-dark-1.0.0.zip") as package:
        assert set(package.namelist()) == {"CHANGELOG.md", "dark.css", "version.json", "update_manifest.json"}
    # The core's releases know nothing of it.
    app.release("v1.5.0")
    app.run("publish", "v1.5.0")
    assert [release.version for release in app.seen().releases] == ["1.5.0", "1.0.0"]
    assert "is not 'v'" in app.run("publish", "dark-v1.0.0", code=1).output
