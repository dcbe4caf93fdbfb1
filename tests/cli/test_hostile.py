"""Bad input: every verb with damaged or hostile files ends in one clear message, and leaves the site as it is."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.hostile import CORRUPTIONS, FILES, VERBS
from tests.cli.sites import ROOT, Result, copy_site, live_tree
from updater.cli import main
from updater.cli.exits import Exit

_PATIENCE = 20  # seconds until a verb is said to hang
_SLOW_BY_NATURE = ("live file", "huge")  # the app's own files may be of any size, and are read to be compared
_PAIRS = [pair for pair in product(FILES, CORRUPTIONS) if pair[1] != "unreadable" and pair != _SLOW_BY_NATURE]


@contextlib.contextmanager
def fresh(template: Path) -> Iterator[Path]:
    """A copy of the template, with the exported restore point beside it."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template.parent / "exported.zip", folder)
        yield copy_site(template, Path(folder) / "site")


def run_verb(site: Path, verb: tuple[str, ...]) -> Result:
    """Run it in this process; a verb that hangs fails."""
    places = {"EXPORTED": str(site.parent / "exported.zip"), "OUTPUT": str(site.parent / "output.zip")}
    out, err = io.StringIO(), io.StringIO()
    rang: list[int] = []

    def ring(number: int, frame: object) -> None:
        rang.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_PATIENCE)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["--site", str(site), *(places.get(word, word) for word in verb)])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert not rang, f"{verb} hangs"
    return Result(code, out.getvalue(), err.getvalue())


def judge(verb: tuple[str, ...], done: Result, before: dict[str, str] | None, after: dict[str, str] | None) -> None:
    """What must hold after any verb on any input."""
    told = done.out + done.err
    assert done.code in set(Exit)
    assert "Traceback" not in told
    assert "bug in updater" not in told
    assert "this check itself failed" not in told
    assert done.err.count("error:") <= 1
    if done.code != Exit.DONE:
        assert after == before
        assert "error:" in done.err or verb[0] in ("verify", "doctor")
    if "--json" in verb:
        json.loads(done.out)


def tree_or_none(site: Path) -> dict[str, str] | None:
    try:
        return live_tree(site)
    except OSError:
        return None


def attempt(template: Path, file: str, corruption: str, verb: tuple[str, ...]) -> None:
    with fresh(template) as site:
        with contextlib.suppress(FileNotFoundError):
            CORRUPTIONS[corruption](FILES[file](site))
        before = tree_or_none(site)
        judge(verb, run_verb(site, verb), before, tree_or_none(site))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "pair"), list(enumerate(_PAIRS)), ids=str)
@pytest.mark.usefixtures("server")
def test_every_damage_to_every_file(template: Path, number: int, pair: tuple[str, str]):
    """Each with one verb; the next test draws the combinations."""
    attempt(template, *pair, VERBS[number % len(VERBS)])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=st.sampled_from(_PAIRS), verb=st.sampled_from(VERBS))
@pytest.mark.usefixtures("server")
def test_any_verb_on_any_damage(template: Path, pair: tuple[str, str], verb: tuple[str, ...]):
    attempt(template, *pair, verb)


_JSON = [name for name in FILES if name.endswith(".json") and not name.startswith("trust")]
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["../../etc/passwd", "/etc/passwd", "a\u0000b", "\u001b[31m", "9" * 5000, "1.0.0"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), file=st.sampled_from(_JSON), verb=st.sampled_from(VERBS))
@pytest.mark.usefixtures("server")
def test_any_value_anywhere_in_our_own_documents(template: Path, data: st.DataObject, file: str, verb: tuple[str, ...]):
    """One member of a well-formed document is replaced by, or gets beside it, what nobody expects there."""
    with fresh(template) as site:
        path = FILES[file](site)
        document = json.loads(path.read_bytes())
        path.write_text(json.dumps(_replace(data, document), ensure_ascii=True))
        before = tree_or_none(site)
        judge(verb, run_verb(site, verb), before, tree_or_none(site))


def _replace(data: st.DataObject, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 3)) == 0:
        return data.draw(_VALUES)
    key = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    value[key] = _replace(data, value[key])
    return value


_TOML = [
    ("url", "[feed]\nurl = 5\n"),
    ("line 2", "[feed]\nurl = \n"),
    ("max_backups", '[feed]\nurl = "https://a.example/stable.json"\n[backup]\nmax_backups = -1\n'),
    ("max_backups", '[feed]\nurl = "https://a.example/stable.json"\n[backup]\nmax_backup = 3\n'),
    ("kind", '[feed]\nurl = "https://a.example/stable.json"\n[database]\nkind = "oracle"\n'),
]


@pytest.mark.parametrize(("named", "text"), _TOML)
def test_wrong_settings_are_named(site: Path, named: str, text: str):
    (site / "updater.toml").write_text(text)
    done = run_verb(site, ("check",))
    assert done.code == Exit.USAGE
    assert named in done.err
    assert "updater.toml" in done.err


_ROOTS = {
    "missing": None,
    "empty": b"",
    "binary": bytes(range(256)),
    "a list": b"[]",
    "nested": b"[" * 100_000,
    "other": b'{"signed": {"_type": "timestamp"}, "signatures": []}',
    "large": b" " * 600_000,
}


@pytest.mark.parametrize("kind", _ROOTS)
def test_install_with_a_bad_root(feed: str, tmp_path: Path, kind: str):
    root, data = tmp_path / "root.json", _ROOTS[kind]
    if data is not None:
        root.write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["install", feed, str(tmp_path / "new"), "--root", str(root)])
    assert code in (Exit.USAGE, Exit.VERIFICATION), err.getvalue()
    assert err.getvalue().count("error:") == 1
    assert "bug in updater" not in err.getvalue()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "url", ["", "x", "http://a.example/stable.json", "https://a.example/", "file:///etc/stable.json"]
)
def test_install_from_a_bad_address(tmp_path: Path, url: str):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["install", url, str(tmp_path / "new"), "--yes"])
    assert (code, err.getvalue().count("error:")) == (Exit.USAGE, 1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["a file", "a pipe", "a loop", "below a file"])
def test_install_into_what_is_no_folder(feed: str, tmp_path: Path, place: str):
    target = tmp_path / "target"
    match place:
        case "a file" | "below a file":
            target.write_bytes(b"mine")
        case "a pipe":
            os.mkfifo(target)
        case "a loop":
            target.symlink_to(target)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["install", feed, str(target / "x" if place == "below a file" else target), "--yes"])
    assert code in (Exit.USAGE, Exit.FAILED)
    assert err.getvalue().count("error:") == 1
    assert "bug in updater" not in err.getvalue()


_UNREADABLE = """
import contextlib, io, json, sys
from pathlib import Path
from tests.cli.hostile import CORRUPTIONS, FILES, VERBS
from tests.cli.test_hostile import fresh, judge, run_verb, tree_or_none
template = Path(sys.argv[1])
for number, (file, place) in enumerate(FILES.items()):
    for verb in VERBS[number % 4 :: 4]:
        with fresh(template) as site:
            path = place(site)
            if not path.exists():
                continue
            before = tree_or_none(site)
            mode = path.stat().st_mode
            CORRUPTIONS["unreadable"](path)
            try:
                done = run_verb(site, verb)
            finally:
                if path.exists():
                    path.chmod(mode)
            judge(verb, done, before, tree_or_none(site))
            print(file, verb, done.code)
"""


@pytest.mark.usefixtures("server")
def test_what_this_user_may_not_read(template: Path):
    """Root may read everything, so root gives that power up first."""
    command = [sys.executable, "-c", _UNREADABLE, str(template)]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("REQUIRED PROGRAM setpriv is missing (util-linux)")
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert len(done.stdout.splitlines()) > 50
