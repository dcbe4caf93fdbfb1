"""What an update costs a site, in bytes, seconds and memory, beside tufup and the tools that people use by hand."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

from tools.bench.link import slow_link
from tools.bench.measure import Cost, geometric_mean, median_cost, run_measured
from tools.bench.pairs import PAIRS, Pair
from tools.bench.places import peers_python, program
from tools.bench.served import Served, served

__all__ = ["update_bytes", "update_times"]

RUNS = 3
_PEERS = str(Path(__file__).with_name("archive_peers.py"))
_METHODS = ("xdelta3", "zstd", "HDiffPatch")


def update_bytes() -> list[str]:
    """Everything that goes over the line for one update, metadata and indexes included, and the limit."""
    program("xdelta3", "xdelta3")
    program("zstd", "zstd")
    head = ("pair", "full zip", "changed, deflated", *_METHODS, "tufup", "delta", "to tufup", "to the best", "no delta")
    rows = [f"| {' | '.join((*head, 'requests', 'to the bound'))} |", f"|---|{'---:|' * (len(head) + 1)}"]
    ratios = []
    with served("bytes") as bench:
        for pair in PAIRS:
            row, ratio = _bytes_of(bench, pair)
            rows.append(row)
            ratios.append(ratio)
    return [*rows, "", f"Geometric mean of ours to tufup: {geometric_mean(ratios):.2f}, largest {max(ratios):.2f}."]


def _bytes_of(bench: Served, pair: Pair) -> tuple[str, float]:
    bench.publish(pair)
    bench.publish(pair, deltas=False)
    bench.publish_tufup(pair)
    _, delta = bench.update(bench.site(pair), pair)
    _, ranges = bench.update(bench.site(pair, deltas=False), pair)
    _, tufup = bench.update_tufup(bench.tufup_site(pair), pair, "patch")
    trees = [str(pair.tree(version)) for version in (pair.old, pair.new)]
    printed = subprocess.run([str(peers_python()), _PEERS, *trees], check=True, capture_output=True, text=True).stdout
    peers: dict[str, int] = json.loads(printed)
    full = next((bench.www / pair.slug / "packages").glob(f"*-{pair.new}.zip")).stat().st_size
    changed = _changed_deflated(pair)
    ratio = delta.bytes / tufup.bytes
    best = min(*peers.values(), tufup.bytes, delta.bytes)
    figures = [full, changed, *(peers[method] for method in _METHODS), tufup.bytes, delta.bytes]
    words = [*(f"{figure:,}" for figure in figures), f"{ratio:.2f}", f"{delta.bytes / best:.2f}"]
    bound = ranges.bytes / (1.1 * changed + 65_536)
    return f"| {pair} | {' | '.join(words)} | {ranges.bytes:,} | {ranges.requests} | {bound:.2f} |", ratio


def _changed_deflated(pair: Pair) -> int:
    """Bytes of the new and changed files, each deflated: what no way without patches can be below."""
    return sum(
        min(len(data), len(zlib.compress(data, 9, -15)))
        for data in (path.read_bytes() for path in _changed_files(pair))
    )


def _changed_files(pair: Pair) -> list[Path]:
    """Those files of the new release whose content was nowhere in the old one."""
    old, new = pair.tree(pair.old), pair.tree(pair.new)
    known = {hashlib.sha256(path.read_bytes()).digest() for path in old.rglob("*") if path.is_file()}
    files = [path for path in sorted(new.rglob("*")) if path.is_file()]
    return [path for path in files if hashlib.sha256(path.read_bytes()).digest() not in known]


def update_times() -> list[str]:
    """Wall time of one update as a command, from its start to its end, and the most memory; medians."""
    head = ("pair", "ours", "ours, slots", "tufup patch", "tufup full", "ours to tufup's better", "pip", "unzip")
    limit = ("copy and hash", "ours to that")
    slow = ("ours at 20 Mbit/s", "tufup patch", "tufup full", "ours to tufup's better")
    memory = ("ours, MiB", "tufup patch", "tufup full")
    columns = (*head, *limit, *slow, *memory)
    rows = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    with served("times") as bench:
        for pair in PAIRS:
            rows.append(_times_of(bench, pair))
    return rows


def _times_of(bench: Served, pair: Pair) -> str:
    bench.publish(pair)
    bench.publish_tufup(pair)

    def ours(layout: str = "in-place", port: int | None = None) -> Cost:
        return median_cost(lambda: bench.update(bench.site(pair, layout), pair, port=port)[0], RUNS)

    def tufup(how: str, port: int | None = None) -> Cost:
        return median_cost(lambda: bench.update_tufup(bench.tufup_site(pair), pair, how, port=port)[0], RUNS)

    near = [ours(), ours("slots"), tufup("patch"), tufup("full")]
    by_hand = [_pip(bench, pair), _unzip(bench, pair), _copy(bench, pair)]
    with slow_link(bench.nginx.port) as port:
        far = [ours(port=port), tufup("patch", port), tufup("full", port)]
    words = [f"{cost.wall:.2f}" for cost in near] + [f"{near[0].wall / min(near[2].wall, near[3].wall):.2f}"]
    words += [f"{cost.wall:.2f}" for cost in by_hand] + [f"{near[0].wall / by_hand[2].wall:.1f}"]
    words += [f"{cost.wall:.2f}" for cost in far] + [f"{far[0].wall / min(far[1].wall, far[2].wall):.2f}"]
    words += [f"{cost.peak:.0f}" for cost in (near[0], near[2], near[3])]
    return f"| {pair} | {' | '.join(words)} |"


def _pip(bench: Served, pair: Pair) -> Cost:
    """``pip install --upgrade`` from the same web server, into a folder that has the old version."""
    wheels = bench.www / "wheels"
    wheels.mkdir(exist_ok=True)
    for version in (pair.old, pair.new):
        shutil.copy(pair.wheel(version), wheels)
    links = [f'<a href="{path.name}">{path.name}</a>' for path in wheels.glob("*.whl")]
    (wheels / "index.html").write_text("\n".join(links), encoding="utf-8")
    target = bench.scratch / "pip"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    where = ["--find-links", f"{bench.nginx.url}wheels/index.html", "--no-cache-dir", "--no-compile"]

    def run() -> Cost:
        shutil.rmtree(target, ignore_errors=True)
        command = [*pip, *where, "--target", str(target)]
        run_measured([*command, f"{pair.project}=={pair.old}"])
        return run_measured([*command, "--upgrade", f"{pair.project}=={pair.new}"])

    return median_cost(run, RUNS)


def _unzip(bench: Served, pair: Pair) -> Cost:
    """What an owner does by hand: download the zip and unpack it over the top, unverified and without a way back."""
    package = next((bench.www / pair.slug / "packages").glob(f"*-{pair.new}.zip"))
    target = bench.scratch / "unzip"
    url = f"{bench.nginx.url}{pair.slug}/packages/{package.name}"
    fetch = f"import urllib.request as u; u.urlretrieve({url!r}, 'app.zip')"

    def run() -> Cost:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(pair.tree(pair.old), target)
        one = run_measured([sys.executable, "-c", fetch], cwd=target)
        two = run_measured(["unzip", "-q", "-o", "app.zip"], cwd=target)
        return Cost(one.wall + two.wall, one.cpu + two.cpu)

    return median_cost(run, RUNS)


_COPY = """
import hashlib, os, sys
for line in sys.stdin.read().splitlines():
    with open(line, "rb") as source, open(os.path.join(sys.argv[1], str(hash(line))), "wb") as target:
        data = source.read()
        hashlib.sha256(data).digest()
        target.write(data)
os.sync()
"""


def _copy(bench: Served, pair: Pair) -> Cost:
    """The limit: the changed files are here already, and are only read, hashed, written and flushed."""
    listed = bench.scratch / "changed.txt"
    listed.write_text("\n".join(map(str, _changed_files(pair))), encoding="utf-8")
    target = bench.scratch / "copied"

    def run() -> Cost:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        with listed.open("rb") as names:
            return run_measured([sys.executable, "-c", _COPY, str(target)], stdin=names)

    return median_cost(run, RUNS)
