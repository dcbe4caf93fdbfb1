"""`make demo-admin`: a shop with updates in its admin, one that waits, and one behind it that is broken; until Ctrl-C.

Everything happens in a new temporary directory and on loopback addresses; nothing is asked.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time

from demo import SERVICE, Demo, FeedServer, chapter, make_repo, place_order, say, settings


def prepare(demo: Demo) -> FeedServer:
    """Publish all three versions, install the first, and let the shop find the second."""
    chapter("The maintainer", "A shop in three versions; the last one is broken on purpose.")
    make_repo(demo.repository)
    published = demo.repository / ".feedgen" / "site"
    published.mkdir(parents=True)
    server = FeedServer(published)
    keys = ("--keys", str(demo.keys))
    demo.run("feedgen", "init", "--app", "shop", "--base-url", server.url, *keys, cwd=demo.repository)
    demo.run("feedgen", "publish", "v1.0.0", *keys, cwd=demo.repository)
    fingerprint = hashlib.sha256((published / "root.json").read_bytes()).hexdigest()

    chapter("The site owner", "1.0.0 is installed, with Tagship's app in its admin.")
    demo.site.mkdir()
    feed = f"{server.url}stable.json"
    (demo.site / "updater.toml").write_text(settings(demo, feed), encoding="utf-8")
    demo.run("updater", "install", feed, str(demo.site), "--root-sha256", fingerprint)
    demo.run(sys.executable, "manage.py", "seed_demo", cwd=demo.site)
    place_order(demo.shop)

    chapter("A release", "1.1.0 is published, and the shop asks for it.")
    demo.run("feedgen", "publish", "v1.1.0", *keys, cwd=demo.repository)
    demo.run(sys.executable, "manage.py", "check_updates", "--force", cwd=demo.site)
    return server


def main() -> None:
    demo = Demo()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = prepare(demo)
        chapter("Your turn")
        say(f"Open {demo.shop}/admin/updates/availableupdate/ and log in as admin, password only-for-this-demo.")
        say("Update, and watch it restart the shop; then publish the broken one and see it come back:")
        print(
            f"  cd {demo.repository} && FEEDGEN_PASSPHRASE=only-for-this-demo feedgen publish v1.2.0 --keys {demo.keys}"
        )
        say("Ctrl-C ends it.")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        server.close()
    finally:
        if demo.site.exists():
            subprocess.run([sys.executable, str(SERVICE), "stop", str(demo.site)], check=False)


if __name__ == "__main__":
    main()
