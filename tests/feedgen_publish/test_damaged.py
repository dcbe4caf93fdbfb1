"""Bad input: every verb on damaged settings, keys and site ends in one message and a documented exit code."""

from __future__ import annotations

from itertools import product

import pytest

from tests.feedgen_publish.conftest import App

VERBS = (
    "publish v1.0.0",
    "build v1.0.0",
    "refresh",
    "verify",
    "root show",
    "root rotate --role stable",
    "root sign",
    "list",
    "apply",
    "halt 1.0.0",
    "page",
)
FILES = (
    "feedgen.toml",
    ".feedgen/site/stable.json",
    ".feedgen/site/superseded.json",
    ".feedgen/site/page.json",
    ".feedgen/site/metadata/timestamp.json",
    ".feedgen/site/metadata/1.root.json",
    ".feedgen/site/releases/1.0.0.toml",
    ".feedgen/site/packages/shop-1.0.0.zip",
    "keys/stable.pem",
)
DAMAGE: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "binary": bytes(range(256)),
    "nested": b"[" * 50_000,
    "another document": b'{"signed": {"_type": "x"}, "schema": "9.0"}',
    "a folder": b"a folder",
}
CASES = [(verb, file, list(DAMAGE)[n % len(DAMAGE)]) for n, (verb, file) in enumerate(product(VERBS, FILES))]


@pytest.mark.parametrize(("verb", "file", "damage"), CASES)
def test_any_verb_on_any_damage(published: App, verb: str, file: str, damage: str) -> None:
    path = published.keys / "stable.pem" if file.startswith("keys/") else published.folder / file
    assert path.is_file()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif (data := DAMAGE[damage]) is not None:
        path.write_bytes(data)
    done = published.run(*verb.split(), code=None)  # which lets no exception through
    assert done.exit_code in (0, 1, 2), done.output
    assert done.output.count("Error:") <= 1
    assert done.exit_code == 0 or done.output.strip()
