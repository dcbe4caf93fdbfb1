"""The tables. All but the settings mirror what the engine wrote down (`updater.contrib.django.mirror`): rows may be
lost, with a database that was restored, and come back with the next look at the files."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.utils.translation import gettext_lazy as _

from updater.contrib.django.policy import Policy, Window
from updater.install.component_changes import name_of

__all__ = ["AvailableUpdate", "UpdateCheck", "UpdateLog", "UpdateNotification", "UpdateSettings"]

_VERSION = 64
_NAME = 64


class UpdateSettings(models.Model):
    """The owner's policy: one row. What the engine itself has to know stands in updater.toml, and not here."""

    class Frequency(models.TextChoices):
        SIX_HOURLY = "six-hourly", _("every six hours")
        DAILY = "daily", _("daily")
        WEEKLY = "weekly", _("weekly")
        MONTHLY = "monthly", _("monthly")

    class Digest(models.TextChoices):
        AT_ONCE = "at-once", _("at once")
        DAILY = "daily", _("once a day at most")
        WEEKLY = "weekly", _("once a week at most")

    auto_check = models.BooleanField(_("check for updates automatically"), default=True)
    frequency = models.CharField(_("how often"), max_length=16, choices=Frequency, default=Frequency.DAILY)
    auto_install = models.BooleanField(
        _("install non-critical updates automatically"),
        default=False,
        help_text=_("Rollout schedules, requirements and the maintenance window are obeyed."),
    )
    auto_install_critical = models.BooleanField(_("install critical updates automatically"), default=False)
    window_start = models.TimeField(_("maintenance window from"), null=True, blank=True)
    window_end = models.TimeField(
        _("until"),
        null=True,
        blank=True,
        help_text=_("Updates install themselves between these times only. Empty: at any time."),
    )
    window_days = models.CharField(
        _("on these days"),
        max_length=7,
        default="0123456",
        blank=True,
        help_text=_("The day on which the window opens."),
    )
    email_notices = models.BooleanField(_("send e-mail"), default=False)
    email_recipients = models.TextField(
        _("e-mail recipients"), blank=True, help_text=_("One address a line. Empty: those of ADMINS.")
    )
    digest = models.CharField(
        _("how often at most"),
        max_length=16,
        choices=Digest,
        default=Digest.AT_ONCE,
        help_text=_("Failures are always told at once."),
    )
    admin_notices = models.BooleanField(_("show notices in the admin"), default=True)
    webhook_url = models.URLField(
        _("webhook"), blank=True, max_length=500, help_text=_("Gets a POST with JSON for every notice.")
    )
    webhook_secret = models.CharField(_("secret of the webhook"), blank=True, max_length=200)

    class Meta:
        verbose_name = _("update settings")
        verbose_name_plural = _("update settings")
        default_permissions = ("view",)
        permissions = [("change_settings", _("Can change the settings of updates"))]
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="updates_one_row_of_settings")]

    def __str__(self) -> str:
        return str(_("Update settings"))

    @classmethod
    def load(cls) -> UpdateSettings:
        """The row, made with the defaults when there is none yet."""
        found: UpdateSettings = cls.objects.get_or_create(pk=1)[0]
        return found

    def save(self, *args: Any, **kwargs: Any) -> None:
        """There is one row, whatever happens."""
        self.pk = 1
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse half a window, days that are none, and recipients that are no addresses."""
        if (self.window_start is None) != (self.window_end is None):
            raise ValidationError({"window_end": _("A maintenance window needs both times.")})
        if self.window_start is not None and not self.window_days:
            raise ValidationError({"window_days": _("A maintenance window needs a day.")})
        if set(self.window_days) - set("0123456"):
            raise ValidationError({"window_days": _("Days are the digits 0 (Monday) to 6 (Sunday).")})
        for address in self.recipients():
            try:
                validate_email(address)
            except ValidationError as error:
                message = _("%(address)s is not an e-mail address.") % {"address": address}
                raise ValidationError({"email_recipients": message}) from error

    def recipients(self) -> list[str]:
        """The addresses, each once."""
        return list(dict.fromkeys(self.email_recipients.replace(",", "\n").split()))

    def policy(self) -> Policy:
        """The same, for decisions."""
        window = None
        if self.window_start is not None and self.window_end is not None:
            window = Window(self.window_start, self.window_end, frozenset(map(int, self.window_days)))
        return Policy(
            auto_check=self.auto_check,
            frequency=self.frequency,
            ordinary=self.auto_install,
            critical=self.auto_install_critical,
            window=window,
        )


class UpdateCheck(models.Model):
    """One question to the feed. ``key`` names the line of the engine's history."""

    key = models.CharField(max_length=80, unique=True, editable=False)
    at = models.DateTimeField(_("time"), db_index=True)
    component = models.CharField(_("component"), max_length=_NAME)
    installed = models.CharField(_("installed"), max_length=_VERSION, blank=True)
    available = models.CharField(_("available"), max_length=_VERSION, blank=True)
    feed_state = models.CharField(_("feed"), max_length=16, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("update check")
        verbose_name_plural = _("update checks")
        default_permissions = ("view",)
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}: {self.available or '-'}"


class UpdateLog(models.Model):
    """One thing that happened to the site: a line of the engine's history, or a run that never came so far."""

    class Event(models.TextChoices):
        INSTALL = "install", _("installation")
        UPDATE = "update", _("update")
        ROLLBACK = "rollback", _("rollback")
        RECOVER = "recover", _("recovery")
        PROBATION = "probation", _("probation")
        REHEARSAL = "rehearse", _("rehearsal")

    class Result(models.TextChoices):
        DONE = "done", _("done")
        FAILED = "failed", _("failed, nothing was changed")
        ROLLED_BACK = "rolled-back", _("failed, rolled back")
        BLOCKED = "blocked", _("blocked")
        NEEDS_HUMAN = "needs-human", _("needs a person")
        CANCELLED = "cancelled", _("cancelled")
        KEPT = "kept", _("failed in its probation, and stays")
        DISCARDED = "discarded", _("given up before anything changed")
        INTERRUPTED = "interrupted", _("interrupted")

    key = models.CharField(max_length=160, unique=True, editable=False)
    at = models.DateTimeField(_("time"), db_index=True)
    event = models.CharField(_("event"), max_length=16, choices=Event)
    result = models.CharField(_("result"), max_length=16, choices=Result, blank=True)
    component = models.CharField(_("component"), max_length=_NAME)
    from_version = models.CharField(_("from"), max_length=_VERSION, blank=True)
    to_version = models.CharField(_("to"), max_length=_VERSION, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    warnings = models.JSONField(_("warnings"), default=list, blank=True)
    edited = models.JSONField(_("edited files that were replaced"), default=list, blank=True)
    actor = models.CharField(_("asked for by"), max_length=150, blank=True)
    address = models.CharField(_("from the address"), max_length=64, blank=True)
    run = models.CharField(_("run"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("update log entry")
        verbose_name_plural = _("update log")
        default_permissions = ("view",)
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.get_event_display()} {self.versions}"

    @property
    def versions(self) -> str:
        """From which to which; of a plugin or theme with its name."""
        return name_of(self.component, f"{self.from_version or '-'} → {self.to_version or '-'}")

    @property
    def succeeded(self) -> bool:
        return self.result == self.Result.DONE


class AvailableUpdate(models.Model):
    """What the last check found for a component. ``checked_at`` is when; ``releases`` are all that are passed."""

    component = models.CharField(_("component"), max_length=_NAME, unique=True)
    installed = models.CharField(_("installed"), max_length=_VERSION, blank=True)
    version = models.CharField(_("version"), max_length=_VERSION)
    channel = models.CharField(_("channel"), max_length=16)
    critical = models.BooleanField(_("critical"), default=False)
    security = models.JSONField(_("fixes"), default=list, blank=True)
    published = models.DateTimeField(_("published"), null=True)
    download_size = models.PositiveBigIntegerField(_("download"), default=0)
    releases = models.JSONField(_("releases"), default=list, blank=True)
    plan = models.JSONField(_("plan"), null=True, blank=True)
    skipped = models.BooleanField(_("skipped"), default=False)
    found_at = models.DateTimeField(_("found"))
    checked_at = models.DateTimeField(_("checked"))

    class Meta:
        verbose_name = _("update")
        verbose_name_plural = _("updates")
        default_permissions = ("view",)
        permissions = [
            ("install_update", _("Can install updates")),
            ("rollback_update", _("Can roll updates back")),
        ]
        ordering = ("component",)

    def __str__(self) -> str:
        return f"{self.component} {self.version}"


class UpdateNotification(models.Model):
    """Something that people should know. ``key`` is told once, whatever happens to the database."""

    class Kind(models.TextChoices):
        AVAILABLE = "available", _("update available")
        INSTALLED = "installed", _("update installed")
        ROLLED_BACK = "rolled-back", _("rolled back")
        FAILED = "failed", _("update failed")
        NEEDS_HUMAN = "needs-human", _("needs a person")

    key = models.CharField(max_length=200, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    component = models.CharField(_("component"), max_length=_NAME)
    version = models.CharField(_("version"), max_length=_VERSION, blank=True)
    critical = models.BooleanField(_("critical"), default=False)
    text = models.TextField(_("text"), blank=True)
    created = models.DateTimeField(_("time"), db_index=True)
    sent_to = models.JSONField(_("sent to"), default=list, blank=True)
    error = models.TextField(_("could not be sent"), blank=True)
    dismissed_at = models.DateTimeField(_("dismissed"), null=True, blank=True)
    dismissed_by = models.CharField(_("dismissed by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        default_permissions = ("view",)
        ordering = ("-created", "-pk")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.what}"

    @property
    def what(self) -> str:
        """The version, of a plugin or theme with its name."""
        return name_of(self.component, self.version)
