"""After the commit: a release is watched with traffic on, and what happens when it fails then (docs/reliability.md).

The process that updated is the watchdog; the app's help is not needed. Users have written since the commit point, so
the database is never restored here: code alone goes back, and only when the old code is known to work on the new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime

from updater.errors import BlockedError, ProbationError, RolledBackError, UpdaterError
from updater.events import Event, Kind, Phase, Reporter
from updater.install.outcome import Outcome
from updater.install.rollback import prepare_rollback, run_rollback
from updater.process import Alert, AlertEvent, send_alert, watch
from updater.schema.site_config import SiteConfig
from updater.site import Site, append_history
from updater.site.failed_releases import Attempt, record_failure
from updater.site.files import write_atomic

__all__ = ["Probation"]


class Probation:
    """The probation of one committed update. The caller holds the site's lock."""

    def __init__(
        self,
        site: Site,
        outcome: Outcome,
        config: SiteConfig,
        *,
        report: Reporter,
        now: Callable[[], datetime],
        environ: Mapping[str, str],
        watch: Callable[..., str | None] = watch,
    ) -> None:
        self._site = site
        self._outcome = outcome
        self._report = report
        self._now = now
        self._environ = environ
        self._watch = watch
        self._config = config  # as it was before the update: after the commit nothing may fail for want of it

    def run(self) -> None:
        """Watch, for as long as the owner said; nothing when nothing is configured.

        Raises RolledBackError when the release failed and the old code is back, ProbationError when it failed and
        stays, because going back is for a person to decide.
        """
        health, version = self._config.health, self._outcome.to_version
        if health.probation <= 0 or version is None or not (health.url or health.command):
            return
        self._say("start", f"Watching {version} for {health.probation:g} seconds.")
        document = {"format": 1, "id": self._outcome.id, "from": self._outcome.from_version, "to": version}
        write_atomic(self._site.probation_path, json.dumps(document).encode())
        tree = self._site.tree(self._site.state().layout)
        try:
            reason = self._watch(health, version, cwd=tree, env={**self._environ, **self._config.commands.env})
        except KeyboardInterrupt:  # the update is done; only the watching ends
            self._close("interrupted", "its user stopped the watching")
            return
        if reason is None:
            self._close("passed", "")
            self._say("done", f"{version} passed its probation.")
            return
        self._say("failed", f"{version} fails after it was committed: {reason}")
        record_failure(self._site.failed_path, version, Attempt(f"{self._outcome.id}-probation", self._now(), reason))
        self._go_back(version, reason)

    def _go_back(self, version: str, reason: str) -> None:
        old = self._outcome.from_version
        try:
            with ExitStack() as opened:
                prepared = prepare_rollback(self._site, self._outcome.restore_point, opened, keep_database=True)
                run_rollback(
                    self._site,
                    prepared,
                    report=self._report,
                    now=self._now,
                    environ=self._environ,
                    keep_database=True,
                )
        except BlockedError as blocked:
            because = " ".join(blocked.reasons) or str(blocked)
            raise self._kept(version, reason, f"It stays: {because}") from blocked
        except UpdaterError as failed:
            raise self._kept(version, reason, f"Going back to the code of {old} failed: {failed}") from failed
        text = (
            f"{version} was installed and then failed in its probation ({reason}). The code of {old} is back; the "
            "database keeps everything that was written since."
        )
        self._close("rolled-back", reason)
        self._alert("rolled-back", text)
        raise RolledBackError(text, hint="The app's maintainer should see this reason.")

    def _kept(self, version: str, reason: str, why: str) -> ProbationError:
        text = f"{version} is installed and committed, but fails with traffic on ({reason}). {why}"
        self._close("kept", reason)
        self._alert("probation-failed", text)
        return ProbationError(
            text,
            hint="Look at the app's log. `updater rollback` goes back with the database of that time, after it has "
            "told what was written since and would be lost.",
        )

    def _close(self, result: str, reason: str) -> None:
        outcome = self._outcome
        append_history(
            self._site.history_path,
            self._now(),
            "probation",
            id=outcome.id,
            result=result,
            **{"from": outcome.from_version, "to": outcome.to_version},
            reason=reason,
        )
        self._site.probation_path.unlink(missing_ok=True)

    def _alert(self, event: AlertEvent, text: str) -> None:
        outcome = self._outcome
        alert = Alert(event, str(self._site.path), outcome.from_version, outcome.to_version, text)
        failed = send_alert(self._config.alert, alert, self._environ)
        if failed:
            self._report(Event(Phase.PROBATION, "warning", failed))

    def _say(self, kind: Kind, message: str) -> None:
        self._report(Event(Phase.PROBATION, kind, message))
