"""The settings panel: the owner's policy, and beside it what updater.toml says."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from updater.contrib.django.conf import conf
from updater.contrib.django.mirror import current_view
from updater.contrib.django.models import UpdateSettings
from updater.contrib.django.notices.mail import recipients_of, send_test_mail
from updater.contrib.django.notices.webhook import refusal
from updater.contrib.django.pages.access import may, require
from updater.contrib.django.panel import effective

__all__ = ["SettingsAdmin", "SettingsForm"]

_WEEKDAYS = (
    ("0", gettext_lazy("Monday")),
    ("1", gettext_lazy("Tuesday")),
    ("2", gettext_lazy("Wednesday")),
    ("3", gettext_lazy("Thursday")),
    ("4", gettext_lazy("Friday")),
    ("5", gettext_lazy("Saturday")),
    ("6", gettext_lazy("Sunday")),
)


class SettingsForm(forms.ModelForm):
    """The row as a form. A secret that is set is never shown: empty keeps it, the box removes it. Pinned values are
    shown and cannot be changed."""

    window_days = forms.MultipleChoiceField(
        label=gettext_lazy("on these days"),
        choices=_WEEKDAYS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("The day on which the window opens."),
    )
    webhook_url = forms.URLField(
        label=gettext_lazy("webhook"),
        required=False,
        max_length=500,
        assume_scheme="https",
        help_text=gettext_lazy("Gets a POST with JSON for every notice."),
    )
    webhook_secret = forms.CharField(
        label=gettext_lazy("secret of the webhook"),
        required=False,
        max_length=200,
        strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )
    forget_secret = forms.BooleanField(label=gettext_lazy("remove the secret"), required=False)

    class Meta:
        model = UpdateSettings
        exclude: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._secret = self.instance.webhook_secret
        shown = effective(self.instance)
        self.initial |= {name: getattr(shown, name) for name in conf().pinned if name in self.fields}
        self.initial["window_days"] = list(shown.window_days)
        self.initial["webhook_secret"] = ""
        for field in self.fields.values():
            field.label = capfirst(field.label)  # as Django does for those that it makes itself
        self.fields["webhook_secret"].help_text = (
            _("A secret is set. Leave this empty to keep it.")
            if self._secret
            else _("Signs every message (HMAC-SHA-256).")
        )
        for name in conf().pinned:
            if name in self.fields:
                self.fields[name].disabled = True
                self.fields[name].help_text = _("Set by the project (UPDATER_PINNED), so it cannot be changed here.")

    def clean_window_days(self) -> str:
        """The days as the model keeps them."""
        return "".join(sorted(self.cleaned_data["window_days"]))

    def clean_webhook_url(self) -> str:
        """Refuse addresses on which anybody could listen in."""
        url: str = self.cleaned_data["webhook_url"]
        why = refusal(url) if url else ""
        if why:
            raise ValidationError(_("This address cannot be used: it must be https, without a password in it."))
        return url

    def clean_webhook_secret(self) -> str:
        """Empty keeps what is there."""
        return self.cleaned_data["webhook_secret"] or self._secret

    def clean(self) -> dict[str, Any]:
        """The box wins."""
        cleaned: dict[str, Any] = super().clean()
        if cleaned.get("forget_secret"):
            cleaned["webhook_secret"] = ""
        return cleaned


class SettingsAdmin(admin.ModelAdmin):
    """One row, one form: the list leads straight to it."""

    form = SettingsForm
    change_form_template = "updates/settings.html"
    fieldsets = (
        (gettext_lazy("Checking"), {"fields": ("auto_check", "frequency")}),
        (
            gettext_lazy("Installing"),
            {
                "fields": (
                    "auto_install",
                    "auto_install_critical",
                    ("window_start", "window_end"),
                    "window_days",
                )
            },
        ),
        (
            gettext_lazy("Notices"),
            {
                "fields": (
                    "admin_notices",
                    "email_notices",
                    "email_recipients",
                    "digest",
                    "webhook_url",
                    "webhook_secret",
                    "forget_secret",
                )
            },
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """The form, and the button that sends a test."""
        test = path("test-mail/", self.admin_site.admin_view(require_POST(self.test_mail)), name="updates_test_mail")
        return [test, *super().get_urls()]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """See `ModelAdmin`."""
        return may(request, "settings")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `ModelAdmin`."""
        return may(request, "settings")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `ModelAdmin`."""
        return may(request, "settings")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The row is there already."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Without it there would be no settings."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Straight to the form."""
        require(request, "settings")
        UpdateSettings.load()
        return redirect("admin:updates_updatesettings_change", 1)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The form, with what updater.toml says beside it."""
        UpdateSettings.load()
        try:
            view = current_view()
        except ImproperlyConfigured:
            view = None
        context = {**(extra_context or {}), "site_view": view, "title": _("Update settings"), "subtitle": None}
        return super().change_view(request, object_id, form_url, context)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the form."""
        messages.success(request, _("The settings were saved."))
        return redirect(reverse("admin:updates_updatesettings_change", args=(1,)))

    def test_mail(self, request: HttpRequest) -> HttpResponse:
        """Send one now, to everybody who gets the notices, and say what came of it."""
        require(request, "settings")
        addresses = recipients_of(effective(UpdateSettings.load()))
        view = current_view()
        for address in addresses:
            try:
                send_test_mail(address, view.app if view else "updates")
            except OSError as error:
                messages.error(request, f"{address}: {type(error).__name__}: {error}")
            else:
                messages.success(request, _("A test was sent to %(address)s.") % {"address": address})
        if not addresses:
            messages.warning(request, _("Nobody gets e-mail: there are no recipients, and no ADMINS."))
        return redirect("admin:updates_updatesettings_change", 1)
