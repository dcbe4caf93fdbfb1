"""One issue that says what is wrong with the feed: opened when something is, kept current, closed when all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedgen.doctor.api import Answer, RepositoryApi
from feedgen.errors import PublishError

__all__ = ["LABEL", "Reported", "failed_jobs", "keep_alive", "report"]

LABEL = "feedgen"


@dataclass(frozen=True)
class Reported:
    """What became of the issue: opened, updated, closed, unchanged or none; and its number, 0 when there is none."""

    what: str
    number: int = 0


def failed_jobs(needs: Mapping[str, Any]) -> list[str]:
    """Problems in the ``needs`` context of a workflow."""
    return [
        f"The job `{name}` ended with: {job.get('result')}."
        for name, job in needs.items()
        if job.get("result") not in ("success", "skipped")
    ]


def report(api: RepositoryApi, app: str, problems: Sequence[str], *, run_url: str) -> Reported:
    """Open, update or close the issue of ``app``. Raises ``PublishError`` when GitHub refuses."""
    title, marker = f"The update feed of {app} needs attention", f"<!-- feedgen:{app} -->"
    issue = _find(api, marker)
    if not problems:
        if issue is None:
            return Reported("none")
        number = int(issue["number"])
        text = f"All is well again, says [this run]({run_url})." if run_url else "All is well again."
        _done(api.call("POST", f"/issues/{number}/comments", {"body": text}), "comment on the issue")
        _done(api.call("PATCH", f"/issues/{number}", {"state": "closed", "state_reason": "completed"}), "close it")
        return Reported("closed", number)
    listed = "\n".join(f"- {problem}" for problem in problems)
    seen = f"\n\nLast seen by [this run]({run_url})." if run_url else ""
    body = (
        f"{marker}\n{listed}\n\nInstalled sites go on running; they take no automatic updates while the feed is stale."
        f" `feedgen doctor` says how to mend each.{seen}\n\nThis issue is updated every day and closes itself."
    )
    if issue is not None:
        number = int(issue["number"])
        if listed in str(issue.get("body", "")):
            return Reported("unchanged", number)
        _done(api.call("PATCH", f"/issues/{number}", {"title": title, "body": body}), "update the issue")
        return Reported("updated", number)
    _make_label(api)
    made = _done(api.call("POST", "/issues", {"title": title, "body": body, "labels": [LABEL]}), "open an issue")
    return Reported("opened", int(made.body["number"]))


def keep_alive(api: RepositoryApi, workflow: str) -> bool:
    """Enable the workflow (a file's name) anew, so that GitHub does not switch it off after 60 idle days."""
    return api.call("PUT", f"/actions/workflows/{workflow}/enable").ok


def _find(api: RepositoryApi, marker: str) -> dict[str, Any] | None:
    answer = _done(api.call("GET", f"/issues?labels={LABEL}&state=open&per_page=100"), "list issues")
    found = [issue for issue in answer.body if marker in str(issue.get("body", ""))]
    return min(found, key=lambda issue: int(issue["number"])) if found else None


def _make_label(api: RepositoryApi) -> None:
    answer = api.call("POST", "/labels", {"name": LABEL, "color": "d4a72c", "description": "Opened by feedgen"})
    if not answer.ok and answer.status != 422:  # it is there already
        _done(answer, "make a label")


def _done(answer: Answer, what: str) -> Answer:
    if answer.ok:
        return answer
    if answer.status == 410:
        raise PublishError("Issues are switched off in this repository", hint="Switch them on in its settings.")
    message = answer.body.get("message", "") if isinstance(answer.body, dict) else ""
    raise PublishError(
        f"GitHub refused to {what}: {answer.status} {message}".rstrip(),
        hint="The job needs 'permissions: issues: write'.",
    )
