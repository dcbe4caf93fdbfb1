"""`make demo` is the first thing a stranger runs: it has to tell the truth."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.signals import hear_interrupts

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"


@pytest.mark.slow
def test_the_demo_updates_a_shop_and_brings_it_back(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, str(DEMO)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The shop answers as 1.0.0, and a customer has ordered: 1 order" in done.stdout
    assert "The shop answers as 1.1.0, with the old order and a new one: 2 orders" in done.stdout
    assert "Code and database are back: the shop answers as 1.1.0, with 2 orders" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    (home,) = tmp_path.glob("tagship-demo-*")
    assert not (home / "site" / "shop.pid").exists(), "the demo left its shop running"
    shown = re.search(r"service\.py start (\S+) (\d+)", done.stdout)
    assert shown is not None
    assert Path(shown[1]) == home / "site"


@pytest.mark.slow
def test_the_demo_of_the_admin_waits_for_whoever_comes(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, str(DEMO.with_name("demo_admin.py"))]
    with subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - no thread is running here
    ) as demo:
        assert demo.stdout is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        address = re.search(r"http://127\.0\.0\.1:\d+/admin/updates/availableupdate/", said)
        assert address is not None
        answer = requests.get(address[0], timeout=30)
        assert answer.status_code == 200 and "/admin/login/" in answer.url
        assert "1.1.0 is available" in said
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    (home,) = tmp_path.glob("tagship-demo-*")
    assert not (home / "site" / "shop.pid").exists(), "the demo left its shop running"
