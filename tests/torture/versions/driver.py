"""Runs one build of the client on a site, and may kill it at a state of its journal. A program of its own:

    driver.py CLIENT_DIR DIE BUILD VERB ...

CLIENT_DIR holds ``updater/``. DIE is ``never`` or ``STATE:MOMENT``: ``recorded`` (the state was just written down),
``done`` (the next one is about to be) or ``N`` (at the N-th rename within the state). BUILD marks this process for
modules that refuse to be mixed (see `vendored`). VERB: ``setup FEED SITE ROOT VERSION LAYOUT``, ``update SITE
VERSION``, ``rollback SITE``, ``recover SITE``, or ``cli ARGUMENT ...``. Prints how it ended as its last line.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

CLIENT, DIE, BUILD, *VERB = sys.argv[1:]
sys.path[0] = CLIENT
sys._build = BUILD  # type: ignore[attr-defined]

import updater  # noqa: E402
from updater.install.journal import Journal  # noqa: E402

assert Path(updater.__file__).is_relative_to(CLIENT), updater.__file__


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(state: str, moment: str) -> None:
    """Strike there."""
    present = [""]
    renames = [0]
    begin, append, replace = Journal.begin, Journal.append, os.replace

    def entered(name: str) -> None:
        present[0] = name
        if name == state and moment == "recorded":
            die()

    def new_begin(self: Journal, *args: Any, **details: Any) -> None:
        begin(self, *args, **details)
        entered("prepared")

    def new_append(self: Journal, identity: str, new: Any, **details: Any) -> None:
        if present[0] == state and moment == "done":
            die()
        append(self, identity, new, **details)
        entered(str(new))

    def new_replace(*args: Any, **details: Any) -> None:
        if present[0] == state and moment.isdigit():
            renames[0] += 1
            if renames[0] == int(moment):
                die()
        replace(*args, **details)

    Journal.begin, Journal.append, os.replace = new_begin, new_append, new_replace  # type: ignore[method-assign, assignment]


def main() -> None:
    if DIE != "never":
        arm(*DIE.split(":"))
    verb, *words = VERB
    if verb == "cli":
        from updater.cli import main as command

        sys.exit(command(words))
    if verb == "setup":
        feed, site, root, version, layout = words
        updater.set_up_site(feed, Path(site), root=Path(root).read_bytes(), version=version, layout=layout)  # type: ignore[arg-type]
        print("done")
        return
    client = updater.Updater(words[0], report=lambda event: print(event.message) if event.message else None)
    try:
        if verb == "update":
            outcome = client.install(client.plan(words[1]))
        elif verb == "rollback":
            outcome = client.rollback()
        else:
            outcome = client.recover()
    except updater.UpdaterError as error:
        print(type(error).__name__, error)
        sys.exit(3)
    print(None if outcome is None else outcome.result)


if __name__ == "__main__":
    main()
