"""docs/containers.md: its commands, as they stand there, with the feed of the test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.containers.test_containers import COMPOSE, Shop, image_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "containers.md"


def test_the_commands_of_the_page_work(tmp_path: Path):
    shop = Shop(tmp_path, COMPOSE)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    program = tmp_path / "bin" / "updater"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m updater "$@"\n')
    program.chmod(0o755)
    try:
        with shop.publisher.serving() as server:
            said = []
            for number, block in enumerate(blocks):
                if number == 1:
                    shop.release("1.1.0")
                commands = block.replace("https://acme.github.io/shop/stable.json", f"{server.url}stable.json")
                done = subprocess.run(
                    ["sh", "-e", "-c", commands],
                    cwd=shop.site.path,
                    env=shop.environ,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stdout + done.stderr
                said.append(done.stdout)
        assert f"1.0.0  {image_of('1.0.0')}" in said[0]
        assert "1.1.0" in said[1] and f"docker pull {image_of('1.1.0')}" in said[1]
        assert "Done: 1.1.0 runs." in said[1] and "Done: 1.0.0 runs." in said[1]
        assert shop.answers() == "1.0.0"
    finally:
        shop.stop()
