"""What the buttons do: every one a POST that leaves a request, writes down who asked, and leads to its progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from updater.contrib.django.badge import waiting
from updater.contrib.django.checked import Checked, read_checked
from updater.contrib.django.conf import conf
from updater.contrib.django.mirror import current_view
from updater.contrib.django.models import AvailableUpdate, UpdateNotification
from updater.contrib.django.pages.access import password_problem, require
from updater.contrib.django.runners import ask
from updater.contrib.django.runs.request import Action
from updater.errors import UpdaterError
from updater.schema.document import format_time

__all__ = [
    "cancel",
    "check",
    "clear",
    "dismiss",
    "install",
    "install_all",
    "recover",
    "rehearse",
    "run_action",
    "skip",
    "unskip",
]

_DASHBOARD = "admin:updates_availableupdate_changelist"
_audit = logging.getLogger("updater.audit")


def run_action(
    request: HttpRequest, action: Action, target: str | None, text: str, components: Collection[str] = ()
) -> HttpResponseRedirect:
    """Ask for it in the user's name. ``text`` is what the admin's log will say."""
    actor, address = request.user.get_username(), str(request.META.get("REMOTE_ADDR") or "")
    try:
        run = ask(action, target, actor=actor, address=address, components=components)
    except (UpdaterError, OSError, ValueError) as error:
        messages.error(request, " ".join(part for part in (str(error), getattr(error, "hint", "")) if part))
        return redirect(_DASHBOARD)
    _log(request, text)
    return redirect("admin:updates_run", run.id)


@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """Ask the feed now."""
    require(request, "view")
    return run_action(request, "check", None, "Asked to check for updates.")


@require_POST
def install(request: HttpRequest) -> HttpResponse:
    """Install the version that the page showed, if it is still the one that waits."""
    require(request, "install")
    shown = _shown(request)
    if shown is None or _is_refused(request):
        return _look_again(request, changed=shown is None)
    return run_action(request, "update", shown.version, f"Asked to install {shown.what}.", _only(shown))


@require_POST
def install_all(request: HttpRequest) -> HttpResponse:
    """Install everything that waits together, if it is still what the page showed."""
    require(request, "install")
    waits = waiting()
    changed = not waits or request.POST.getlist("update") != [checked.what for checked in waits]
    if changed or _is_refused(request):
        return _look_again(request, changed=changed)
    what = ", ".join(checked.what for checked in waits)
    return run_action(request, "update", None, f"Asked to install {what}.", [checked.component for checked in waits])


@require_POST
def rehearse(request: HttpRequest) -> HttpResponse:
    """Try the update on a copy."""
    require(request, "install")
    shown = _shown(request)
    if shown is None:
        return _look_again(request, changed=True)
    return run_action(request, "rehearse", shown.version, f"Asked to rehearse {shown.what}.", _only(shown))


@require_POST
def recover(request: HttpRequest) -> HttpResponse:
    """Finish or undo an interrupted update."""
    require(request, "install", "rollback")
    return run_action(request, "recover", None, "Asked to recover an interrupted update.")


@require_POST
def cancel(request: HttpRequest, run_id: str) -> HttpResponse:
    """Take back a request that nobody has taken, or end a run and have it undone."""
    require(request, "install")
    folder = conf().require_folder()

    def work() -> None:
        waiting = folder.waiting()
        if waiting is not None and waiting.id == run_id:
            folder.withdraw()
        else:
            folder.ask_to_cancel(run_id)

    _try(request, work, _("It will be undone."))
    _log(request, f"Asked to cancel the run {run_id}.")
    return redirect("admin:updates_run", run_id)


@require_POST
def clear(request: HttpRequest) -> HttpResponse:
    """Forget a request that nobody takes."""
    require(request, "install", "rollback")
    _try(request, conf().require_folder().withdraw, _("The request was taken back."))
    _log(request, "Took a waiting request back.")
    return redirect(_DASHBOARD)


@require_POST
def skip(request: HttpRequest) -> HttpResponse:
    """Pass a version over: no badge, no automatic installation, until the next version."""
    require(request, "install")
    shown = _shown(request)
    if shown is not None:
        entry = {"actor": request.user.get_username(), "at": format_time(timezone.now())}
        success = _("The version is skipped.")
        _change_skipped(request, shown, lambda known: {**known, str(shown.version): entry}, success)
        _log(request, f"Skipped {shown.what}.")
    return redirect(_DASHBOARD)


@require_POST
def unskip(request: HttpRequest) -> HttpResponse:
    """Offer a skipped version again."""
    require(request, "install")
    shown = _shown(request)
    if shown is not None:
        _change_skipped(
            request,
            shown,
            lambda known: {name: about for name, about in known.items() if name != shown.version},
            _("The version is offered again."),
        )
        _log(request, f"Offered {shown.what} again.")
    return redirect(_DASHBOARD)


@require_POST
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a notice away, for everybody."""
    require(request, "view")
    UpdateNotification.objects.filter(pk=pk, dismissed_at=None).update(
        dismissed_at=timezone.now(), dismissed_by=request.user.get_username()
    )
    return redirect(_DASHBOARD)


def _shown(request: HttpRequest) -> Checked | None:
    """The update that the form names, if that is what waits."""
    view = current_view()
    if view is None:
        return None
    component = request.POST.get("component") or view.component
    checked = read_checked(conf().require_folder()).get(component)
    waits = None if checked is None else checked.waiting(view.installed.get(component))
    return checked if waits is not None and waits == request.POST.get("version") else None


def _is_refused(request: HttpRequest) -> bool:
    """Whether a password or a consent that an installation needs is missing, which is then said."""
    problem = password_problem(request)
    if not problem and request.POST.get("needs_consent") and not request.POST.get("consent"):
        problem = _("Please confirm that you have read what this update does to your data.")
    if problem:
        messages.error(request, problem)
    return bool(problem)


def _look_again(request: HttpRequest, *, changed: bool) -> HttpResponseRedirect:
    """Back to the dashboard; ``changed``: because it no longer shows what waits."""
    if changed:
        messages.error(request, _("The list of updates has changed. Please look again."))
    return redirect(_DASHBOARD)


def _only(shown: Checked) -> tuple[str, ...]:
    """What to name to the engine: a plugin or theme goes alone; the app takes along what waits beside it, but for what
    somebody decided to skip."""
    if not shown.is_core:
        return (shown.component,)
    skipped, known = conf().require_folder().skipped(), read_checked(conf().require_folder())
    others = [checked for checked in known.values() if not checked.is_core and checked.version is not None]
    taken = [checked for checked in others if checked.version not in skipped.get(checked.component, {})]
    return () if taken == others else (shown.component, *(checked.component for checked in taken))


def _change_skipped(
    request: HttpRequest, shown: Checked, change: Callable[[dict[str, Any]], dict[str, Any]], success: str
) -> None:
    folder = conf().require_folder()
    skipped: dict[str, Any] = dict(folder.skipped())
    skipped[shown.component] = change(dict(skipped.get(shown.component, {})))
    _try(request, lambda: folder.write_skipped(skipped), success)


def _try(request: HttpRequest, work: Callable[[], None], success: str) -> None:
    try:
        work()
    except (OSError, ValueError) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, success)


def _log(request: HttpRequest, text: str) -> None:
    """In Django's admin log, where administrators look, and in the log of the process."""
    row = AvailableUpdate.objects.first()
    _audit.info("%s (%s): %s", request.user.get_username(), request.META.get("REMOTE_ADDR"), text)
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(AvailableUpdate),
        object_id=None if row is None else str(row.pk),
        object_repr=(str(row) if row is not None else "updates")[:200],
        action_flag=CHANGE,
        change_message=text,
    )
