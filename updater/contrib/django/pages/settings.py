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
from updater.contrib.django.owner_file import OwnerFile, read_owner_file
from updater.contrib.django.pages.access import may, require
from updater.contrib.django.panel import effective
from updater.errors import UpdaterError
from updater.toml_edit import change_setting, feed_url_for
from updater.trust.names import CHANNELS

__all__ = ["OWNERS", "SettingsAdmin", "SettingsForm"]

OWNERS = ("max_backups", "max_age_days", "edited", "channel", "feed_url", "feed_token", "forget_token")
"""The fields that stand in the owner's files, not in the table."""

_TOKEN = ("feed_token", "forget_token")

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

    channel = forms.ChoiceField(
        label=gettext_lazy("channel"), required=False, choices=[(name, name) for name in CHANNELS]
    )
    max_backups = forms.IntegerField(
        label=gettext_lazy("backups to keep"),
        required=False,
        min_value=0,
        max_value=10_000,
        help_text=gettext_lazy("0: all. One that is good always stays."),
    )
    max_age_days = forms.IntegerField(
        label=gettext_lazy("and for how many days"),
        required=False,
        min_value=0,
        max_value=100_000,
        help_text=gettext_lazy("0: no limit."),
    )
    edited = forms.ChoiceField(
        label=gettext_lazy("files that you edited"),
        required=False,
        choices=[
            ("overwrite", gettext_lazy("are replaced; a copy is kept")),
            ("keep", gettext_lazy("stay as they are")),
            ("stop", gettext_lazy("stop the update")),
        ],
    )
    feed_url = forms.CharField(
        label=gettext_lazy("address of the feed"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text=gettext_lazy("Only a feed that is signed by the same maintainer is accepted."),
    )
    feed_token = forms.CharField(
        label=gettext_lazy("API token"),
        required=False,
        max_length=4000,
        strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )
    forget_token = forms.BooleanField(label=gettext_lazy("remove the token"), required=False)

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
        self._set_up_owner_file()
        for name in conf().pinned:
            if name in self.fields:
                self.fields[name].disabled = True
                self.fields[name].help_text = _("Set by the project (UPDATER_PINNED), so it cannot be changed here.")

    def _set_up_owner_file(self) -> None:
        """The values of updater.toml, which can be changed here when it is this process's own file."""
        site = conf().site
        self.owner = None if site is None else read_owner_file(site)
        self.owner_text = ""
        if self.owner is not None:
            self.initial |= self.owner.values()
        self.fields["feed_token"].help_text = (
            _("A token is set. Leave this empty to keep it.")
            if self._has_token()
            else _("For a private feed. It is sent to the feed's server alone.")
        )
        for name in OWNERS:
            if self.owner is None or self.owner.problem:
                self.fields[name].disabled = True
                self.fields[name].help_text = _("Changed in updater.toml on the server: this process may not.")
        for name, origin in ({} if self.owner is None else self.owner.overridden).items():
            self.fields[name].disabled = True
            self.fields[name].help_text = _("Decided by %(origin)s, so it cannot be changed here.") % {"origin": origin}

    def _has_token(self) -> bool:
        try:
            return self.owner is not None and not self.owner.problem and self.owner.has_token
        except UpdaterError:
            return False

    def clean_feed_token(self) -> str:
        """Refuse what no header can hold."""
        token: str = self.cleaned_data["feed_token"]
        if token and not (token.isascii() and token.isprintable()):
            raise ValidationError(_("This cannot be a token."))
        return token

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
        if self.owner is not None and not self.owner.problem and not self.errors:
            self._change_owner_file(self.owner, cleaned)
        return cleaned

    def _change_owner_file(self, owner: OwnerFile, cleaned: dict[str, Any]) -> None:
        """Work out the new text, each change checked by the parser that the engine uses."""
        wanted = {
            name: cleaned.get(name)
            for name in OWNERS
            if name not in _TOKEN and name in self.changed_data and cleaned.get(name) not in (None, "")
        }
        channel = wanted.pop("channel", None)
        text = owner.text
        for name, value in wanted.items():
            text = self._changed(text, name, value)
        if channel is not None:
            url = str(wanted.get("feed_url") or owner.config.feed_url)
            text = self._changed(text, "feed_url", feed_url_for(url, channel), field="channel")
        self.owner_text = text if text != owner.text else ""

    def _changed(self, text: str, name: str, value: Any, *, field: str = "") -> str:
        try:
            return change_setting(text, name, value)
        except UpdaterError as error:
            self.add_error(field or name, str(error))
            return text


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
            gettext_lazy("Backups and source (updater.toml)"),
            {
                "fields": (
                    "max_backups",
                    "max_age_days",
                    "edited",
                    "channel",
                    "feed_url",
                    ("feed_token", "forget_token"),
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

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The row, and then the owner's file."""
        super().save_model(request, obj, form, change)
        if form.owner is None or form.owner.problem:
            return
        token, forget = form.cleaned_data.get("feed_token"), form.cleaned_data.get("forget_token")
        try:
            if token or forget:
                form.owner.keep_token("" if forget else token)
            if form.owner_text:
                form.owner.write(form.owner_text)
        except (UpdaterError, OSError) as error:
            messages.error(request, f"{error} {getattr(error, 'hint', '')}".strip())

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
