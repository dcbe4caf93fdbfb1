"""The owner's alert program: what it is told, and that its failure is told and nothing else."""

from __future__ import annotations

import sys

from updater.process import Alert, send_alert
from updater.schema.site_config import AlertConfig

ALERT = Alert("rolled-back", "/srv/shop", "1.0.0", "1.1.0", "It failed: 'no answer'\nsecond line\0")


def test_the_program_gets_everything_in_its_environment(tmp_path):
    out = tmp_path / "out"
    script = (
        f"import os; open({str(out)!r}, 'w').write(repr({{k: v for k, v in os.environ.items() if 'UPDATER_' in k}}))"
    )
    assert send_alert(AlertConfig((sys.executable, "-c", script)), ALERT, {"PATH": "/bin"}) is None
    assert eval(out.read_text()) == {
        "UPDATER_EVENT": "rolled-back",
        "UPDATER_SITE": "/srv/shop",
        "UPDATER_FROM": "1.0.0",
        "UPDATER_TO": "1.1.0",
        "UPDATER_MESSAGE": "It failed: 'no answer'\nsecond line",
    }


def test_no_program_no_alert():
    assert send_alert(AlertConfig(), ALERT) is None


def test_a_failure_is_a_sentence():
    assert "could not be sent" in (send_alert(AlertConfig(("false",)), ALERT) or "")
    assert "could not be sent" in (send_alert(AlertConfig(("/nonexistent",)), ALERT) or "")
    assert "did not end" in (send_alert(AlertConfig(("sleep", "9"), timeout=0.1), ALERT) or "")
