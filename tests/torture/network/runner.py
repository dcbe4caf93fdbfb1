"""Runs one case of the table with the real client over real sockets, and judges everything it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.server import Behaviour, LoopbackServer, Recorded
from tests.torture.network import refusals
from tests.torture.network.memory import PeakMemory
from tests.torture.network.table import Case
from tests.torture.network.world import PATIENT, QUICK, STRICT, World, photograph, use_feed
from updater import Updater, set_up_site
from updater.cli.exits import Exit, exit_code
from updater.errors import BlockedError, DowngradeError, DownloadError, ExpiredError, UpdaterError
from updater.results import Plan
from updater.transport import HTTPTransport

__all__ = ["Attempt", "Judgement", "asked_bytes", "core", "documented_exit", "judge_error", "run_case"]

MOST_SECONDS = 30.0
MOST_BYTES = 24 << 20  # what a server can get rid of: a full send buffer for each request, and a little
MOST_MEMORY = 24 << 20

_CORE = ("site.json", "manifest.json", "root.json", "backups", "journal", "staging", "bin")
"""What lies in the state directory that no download may change."""


class Judgement(AssertionError):
    """A case that ended as it must not."""


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Judgement(what)


def documented_exit(kind: type[UpdaterError]) -> int:
    """The exit code of docs/exit-codes.md for an error of this class."""
    return 7 if issubclass(kind, DownloadError) else 8


def asked_bytes(requests: list[Recorded], path: str, size: int) -> int:
    """How many bytes of the file at ``path`` a good server sent for these requests."""
    total = 0
    for request in requests:
        if request.path == path:
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "bytes=0-"))
            assert match is not None
            total += int(match[2] or size - 1) + 1 - int(match[1])
    return total


def core(site: Path) -> dict[str, str]:
    """Photograph of what no download may change."""
    state = site / ".updater"
    others = tuple(path.name for path in state.iterdir() if path.name not in _CORE)
    return photograph(state, without=others)


class Attempt:
    """A case under way: its folder, its two servers, and the verbs."""

    def __init__(self, case: Case, world: World, folder: Path, bad: LoopbackServer, good: LoopbackServer) -> None:
        self.case, self.world, self.folder, self.bad, self.good = case, world, folder, bad, good
        self.site = folder / "site"
        self.target = self._target()
        self.at = self._at()
        self.met = False
        """Whether the file that is answered wrongly was ever asked for."""

    def _target(self) -> str:
        """Path of the file that is answered wrongly."""
        world, row = self.world, self.case.row
        if self.case.kind == "package":
            return world.package
        if self.case.kind == "feed":
            return world.feed
        first = "root.json" if self.case.verb == "setup" else world.metadata("timestamp")
        files = {"start": first, "middle": world.metadata("snapshot"), "last": world.metadata("stable")}
        return first if row.in_body else files[self.case.position]

    def _at(self) -> int:
        size = len(self.world.files[self.target])
        return {"start": 0, "middle": size // 2, "last": size - 1}[self.case.position]

    def misbehave(self) -> None:
        """Switch the fault on, anew."""
        behave: Behaviour = self.case.row.make(self.at)
        if self.case.kind == "package" and not self.case.row.in_body:
            behave = refusals.after_a_cut(self.at, behave, self.target)
        self.bad.behaviours = {self.target: behave, "login": refusals.portal}
        self.bad.reset()

    def transport(self, *, bad: bool = True) -> HTTPTransport:
        """A new one, as a new start of the program has."""
        limits = {"": PATIENT, "time": QUICK, "rate": STRICT}
        return HTTPTransport(limits[self.case.row.slow] if bad else PATIENT)

    # the verbs

    def plan_elsewhere(self) -> Plan:
        """A plan made while everything was well, for a download from the bad server."""
        use_feed(self.site, self.good.url)
        with self.transport(bad=False) as transport:
            Updater(self.site, transport=transport).plan()
        use_feed(self.site, self.bad.url)
        self.bad.behaviours = {}
        with self.transport(bad=False) as transport:
            return Updater(self.site, transport=transport).plan()

    def update(self) -> None:
        """What `updater update --yes` does."""
        with self.transport() as transport:
            updater = Updater(self.site, transport=transport)
            updater.install(updater.plan(automatic=True))

    def check(self) -> str:
        """What `updater check` does; how fresh the feed is."""
        with self.transport() as transport:
            return Updater(self.site, transport=transport).check().freshness.state

    def set_up(self, server: LoopbackServer, *, bad: bool = True) -> None:
        """What `updater install` does."""
        with self.transport(bad=bad) as transport:
            set_up_site(server.url + "stable.json", self.site, transport=transport)


def run_case(case: Case, world: World, folder: Path) -> None:
    """One case, in a ``folder`` of its own that it leaves empty. Raises Judgement."""
    folder.mkdir()
    try:
        with LoopbackServer(world.served()) as bad, LoopbackServer(world.served()) as good:
            attempt = Attempt(case, world, folder, bad, good)
            {"update": _update, "setup": _setup, "download": _download}[case.verb](attempt)
            _must(attempt.met, "the fault was never met")
    finally:
        shutil.rmtree(folder)


def _update(attempt: Attempt) -> None:
    """A check, then an update, both with the fault; then an update without."""
    case, site = attempt.case, attempt.world.copy_site(attempt.site, attempt.bad.url)
    if case.kind != "package":
        soft = case.ends is not None and issubclass(case.ends, (DownloadError, ExpiredError, DowngradeError))
        _try(attempt, attempt.check, None if soft else case.ends, returns="stale" if soft else "")
        ended = _try(attempt, attempt.update, case.ends, blocked=soft)
    else:
        ended = _try(attempt, attempt.update, case.ends)
    _then_all_is_well(attempt, site, ended)


def _download(attempt: Attempt) -> None:
    """`Updater.download`, then `Updater.install`, of a plan made before the fault."""
    case, site = attempt.case, attempt.world.copy_site(attempt.site, attempt.bad.url)
    plan = attempt.plan_elsewhere()

    def download() -> None:
        with attempt.transport() as transport:
            Updater(site, transport=transport).download(plan)

    def install() -> None:
        with attempt.transport() as transport:
            Updater(site, transport=transport).install(plan)

    if _try(attempt, download, case.ends) is None:
        _then_all_is_well(attempt, site, None, installed=False)
        return
    _then_all_is_well(attempt, site, _try(attempt, install, case.ends))


def _setup(attempt: Attempt) -> None:
    """A first install with the fault leaves nothing; then one without."""
    attempt.site.mkdir()
    (attempt.site / "notes.txt").write_bytes(b"mine\n")
    before = photograph(attempt.site, without=())
    ended = _try(attempt, lambda: attempt.set_up(attempt.bad), attempt.case.ends)
    if ended is not None:
        _must(photograph(attempt.site, without=()) == before, "something is left of the first install")
        _must(sorted(path.name for path in attempt.site.iterdir()) == ["notes.txt"], "a folder is left")
        attempt.set_up(attempt.good, bad=False)
    listed = {path: file.sha256 for path, file in attempt.world.new.manifest.files.items()}
    found = {path: what.split()[0] for path, what in photograph(attempt.site).items() if path != "notes.txt"}
    _must(found == listed, "the site is not the new release")


def _try(
    attempt: Attempt, verb: Callable[[], object], expected: type[UpdaterError] | None, *, returns: str = "",
    blocked: bool = False,
) -> UpdaterError | None:  # fmt: skip
    """Run a verb against the bad server: it must end as expected, soon, cheaply, and leave the site as it was."""
    site, case = attempt.site, attempt.case
    attempt.misbehave()
    tree = photograph(site)
    state = core(site) if (site / ".updater").exists() else {}
    outside = sorted(path.name for path in attempt.folder.iterdir())
    began = time.monotonic()
    error: UpdaterError | None = None
    with PeakMemory() as memory:
        try:
            found = verb()
        except UpdaterError as caught:
            error = caught
        except Exception as caught:
            raise Judgement(f"not an error of ours: {caught!r}") from caught
    took = time.monotonic() - began
    judge_error(error, BlockedError if blocked else expected)
    if error is None:
        _must(not returns or found == returns, f"the check says {found!r}")
    else:
        _must(photograph(site) == tree, "the site was changed")
        _must(not state or core(site) == state, "the site's state was changed")
    _must(sorted(path.name for path in attempt.folder.iterdir()) == outside, "something was written beside the site")
    asked = [request for request in attempt.bad.requests if request.path == attempt.target]
    attempt.met = attempt.met or bool(asked)
    _must(took < MOST_SECONDS, f"it took {took:.1f} seconds")
    _must(memory.grown < MOST_MEMORY, f"it took {memory.grown >> 20} MiB")
    most = case.row.requests * (2 if case.kind == "package" else 1)
    _must(len(asked) <= most, f"{len(asked)} requests for one file")
    _must(attempt.bad.body_bytes < MOST_BYTES, f"{attempt.bad.body_bytes} bytes were taken")
    return error


def judge_error(error: UpdaterError | None, expected: type[UpdaterError] | None) -> None:
    if expected is None:
        _must(error is None, f"ended with {error!r} although it could be coped with")
        return
    _must(isinstance(error, expected), f"{expected.__name__} was expected: {error!r}")
    assert error is not None
    told = f"{error} {error.hint}"
    _must(bool(str(error)) and bool(error.hint), f"no advice: {error!r}")
    _must(
        "Traceback" not in told and len(told) < 2000 and told.replace("\n", " ").isprintable(),
        f"an unreadable message: {told!r}",
    )
    code = Exit.BLOCKED if isinstance(error, BlockedError) else documented_exit(expected)
    _must(exit_code(error) == code, f"exit code {exit_code(error)} instead of {code}")


def _then_all_is_well(attempt: Attempt, site: Path, ended: UpdaterError | None, *, installed: bool = True) -> None:
    """With a good server the update succeeds, asks only for what is missing, and leaves nothing behind."""
    world = attempt.world
    parts = list((site / ".updater/downloads").glob("*.part"))
    part = parts[0].read_bytes() if parts else b""
    sound = world.new.package.startswith(part)
    _must(len(parts) <= 1 and (sound or attempt.case.row.spoils), "the part is no beginning of the package")
    if ended is not None or not installed:
        use_feed(site, attempt.good.url)
        attempt.good.reset()
        with attempt.transport(bad=False) as transport:
            updater = Updater(site, transport=transport)
            here = any((site / ".updater/downloads").glob("*.zip"))
            updater.install(updater.plan(automatic=True))
        asked = asked_bytes(attempt.good.requests, world.package, world.new.size)
        missing = 0 if here else world.new.size - len(part) + world.new.tail_size
        _must(asked == missing if sound else asked <= missing + world.new.size, f"{asked} of {missing} bytes asked for")
    found = photograph(site)
    _must(world.is_new(found), f"not the new release: {sorted(found)}")
    left = {path.name for path in (site / ".updater").iterdir()} & {"downloads", "journal", "staging", "bin"}
    left = {name for name in left if (site / ".updater" / name).is_file() or any((site / ".updater" / name).iterdir())}
    _must(left <= {"journal"}, f"left behind: {left}")
    _must(os.listdir(attempt.folder) == ["site"], "something was written beside the site")
