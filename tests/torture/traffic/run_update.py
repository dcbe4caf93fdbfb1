"""One update through the library, with the time of everything that it says. A program of its own:

    run_update.py SITE VERSION

Prints lines of JSON: ``time`` (seconds since the epoch), ``phase``, ``message``; the last has ``result``.
"""

from __future__ import annotations

import json
import sys
import time

from updater import Event, Updater, UpdaterError


def main() -> None:
    site, version = sys.argv[1:]

    def tell(event: Event) -> None:
        if event.message:
            line = {"time": time.time(), "phase": event.phase.value, "message": event.message}
            print(json.dumps(line), flush=True)

    updater = Updater(site, report=tell)
    try:
        updater.install(updater.plan(version))
        result = "done"
    except UpdaterError as error:
        result = f"{type(error).__name__}: {error}"
    print(json.dumps({"time": time.time(), "result": result}))


if __name__ == "__main__":
    main()
