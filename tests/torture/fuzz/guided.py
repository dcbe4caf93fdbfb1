"""The same targets under Atheris, which sees every branch and every comparison of the client (optional).

    pip install --group fuzz
    python -m tests.torture.fuzz.guided --target manifest --seconds 300 --seed 1 [--corpus FOLDER]

libFuzzer's own mutations are mixed with ours. It ends at the first finding, and writes the input to the current folder
as ``crash-...``. https://github.com/google/atheris
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Runs until the time is over or something is found; does not return."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.fuzz.guided", description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", help="a folder that keeps the inputs that were found, to go on with the next time")
    args = parser.parse_args(arguments)

    import atheris

    with atheris.instrument_imports(include=["updater"]):  # before anything imports the client
        from tests.torture.fuzz.engine import sandbox
        from tests.torture.fuzz.guard import Guard
        from tests.torture.fuzz.mutations import LARGEST
        from tests.torture.fuzz.targets import TARGETS

    target = TARGETS[args.target]
    seeds = target.seeds()
    with sandbox() as folder, Guard(folder / "work") as guard:
        (folder / "work").mkdir()
        work = target.open(folder / "work")
        corpus = Path(args.corpus) if args.corpus else folder / "corpus"
        corpus.mkdir(exist_ok=True)
        for number, data in enumerate(seeds):
            (corpus / f"seed-{number}").write_bytes(data)

        def one_input(data: bytes) -> None:
            reason = guard.run(work, data, target.allowed)
            if reason is not None:
                raise AssertionError(reason)

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            rng = random.Random(seed)
            if rng.randrange(3) == 0:
                made: bytes = atheris.Mutate(data, most)
                return made
            return target.mutate(rng, data, seeds)[:most]

        options: list[Any] = [
            sys.argv[0],
            f"-max_total_time={args.seconds}",
            f"-seed={args.seed}",
            f"-max_len={LARGEST}",
        ]
        atheris.Setup([*options, str(corpus)], one_input, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
