"""The tables of `updater.contrib.django.models`."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """All of them."""

    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="AvailableUpdate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("component", models.CharField(max_length=64, unique=True, verbose_name="component")),
                ("installed", models.CharField(blank=True, max_length=64, verbose_name="installed")),
                ("version", models.CharField(max_length=64, verbose_name="version")),
                ("channel", models.CharField(max_length=16, verbose_name="channel")),
                ("critical", models.BooleanField(default=False, verbose_name="critical")),
                ("security", models.JSONField(blank=True, default=list, verbose_name="fixes")),
                ("published", models.DateTimeField(null=True, verbose_name="published")),
                ("download_size", models.PositiveBigIntegerField(default=0, verbose_name="download")),
                ("releases", models.JSONField(blank=True, default=list, verbose_name="releases")),
                ("plan", models.JSONField(blank=True, null=True, verbose_name="plan")),
                ("skipped", models.BooleanField(default=False, verbose_name="skipped")),
                ("found_at", models.DateTimeField(verbose_name="found")),
                ("checked_at", models.DateTimeField(verbose_name="checked")),
            ],
            options={
                "verbose_name": "update",
                "verbose_name_plural": "updates",
                "ordering": ("component",),
                "permissions": [
                    ("install_update", "Can install updates"),
                    ("rollback_update", "Can roll updates back"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="UpdateCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(editable=False, max_length=80, unique=True)),
                ("at", models.DateTimeField(db_index=True, verbose_name="time")),
                ("component", models.CharField(max_length=64, verbose_name="component")),
                ("installed", models.CharField(blank=True, max_length=64, verbose_name="installed")),
                ("available", models.CharField(blank=True, max_length=64, verbose_name="available")),
                ("feed_state", models.CharField(blank=True, max_length=16, verbose_name="feed")),
                ("error", models.TextField(blank=True, verbose_name="error")),
            ],
            options={
                "verbose_name": "update check",
                "verbose_name_plural": "update checks",
                "ordering": ("-at", "-pk"),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="UpdateLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(editable=False, max_length=160, unique=True)),
                ("at", models.DateTimeField(db_index=True, verbose_name="time")),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("install", "installation"),
                            ("update", "update"),
                            ("rollback", "rollback"),
                            ("recover", "recovery"),
                            ("probation", "probation"),
                            ("rehearse", "rehearsal"),
                        ],
                        max_length=16,
                        verbose_name="event",
                    ),
                ),
                (
                    "result",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("done", "done"),
                            ("failed", "failed, nothing was changed"),
                            ("rolled-back", "failed, rolled back"),
                            ("blocked", "blocked"),
                            ("needs-human", "needs a person"),
                            ("cancelled", "cancelled"),
                            ("kept", "failed in its probation, and stays"),
                            ("discarded", "given up before anything changed"),
                            ("interrupted", "interrupted"),
                        ],
                        max_length=16,
                        verbose_name="result",
                    ),
                ),
                ("component", models.CharField(max_length=64, verbose_name="component")),
                ("from_version", models.CharField(blank=True, max_length=64, verbose_name="from")),
                ("to_version", models.CharField(blank=True, max_length=64, verbose_name="to")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("warnings", models.JSONField(blank=True, default=list, verbose_name="warnings")),
                ("edited", models.JSONField(blank=True, default=list, verbose_name="edited files that were replaced")),
                ("actor", models.CharField(blank=True, max_length=150, verbose_name="asked for by")),
                ("address", models.CharField(blank=True, max_length=64, verbose_name="from the address")),
                ("run", models.CharField(blank=True, max_length=40, verbose_name="run")),
            ],
            options={
                "verbose_name": "update log entry",
                "verbose_name_plural": "update log",
                "ordering": ("-at", "-pk"),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="UpdateNotification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(editable=False, max_length=200, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("available", "update available"),
                            ("installed", "update installed"),
                            ("rolled-back", "rolled back"),
                            ("failed", "update failed"),
                            ("needs-human", "needs a person"),
                        ],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                ("component", models.CharField(max_length=64, verbose_name="component")),
                ("version", models.CharField(blank=True, max_length=64, verbose_name="version")),
                ("critical", models.BooleanField(default=False, verbose_name="critical")),
                ("text", models.TextField(blank=True, verbose_name="text")),
                ("created", models.DateTimeField(db_index=True, verbose_name="time")),
                ("sent_to", models.JSONField(blank=True, default=list, verbose_name="sent to")),
                ("error", models.TextField(blank=True, verbose_name="could not be sent")),
                ("dismissed_at", models.DateTimeField(blank=True, null=True, verbose_name="dismissed")),
                ("dismissed_by", models.CharField(blank=True, max_length=150, verbose_name="dismissed by")),
            ],
            options={
                "verbose_name": "notice",
                "verbose_name_plural": "notices",
                "ordering": ("-created", "-pk"),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="UpdateSettings",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("auto_check", models.BooleanField(default=True, verbose_name="check for updates automatically")),
                (
                    "frequency",
                    models.CharField(
                        choices=[
                            ("six-hourly", "every six hours"),
                            ("daily", "daily"),
                            ("weekly", "weekly"),
                            ("monthly", "monthly"),
                        ],
                        default="daily",
                        max_length=16,
                        verbose_name="how often",
                    ),
                ),
                (
                    "auto_install",
                    models.BooleanField(
                        default=False,
                        help_text="Rollout schedules, requirements and the maintenance window are obeyed.",
                        verbose_name="install non-critical updates automatically",
                    ),
                ),
                (
                    "auto_install_critical",
                    models.BooleanField(default=False, verbose_name="install critical updates automatically"),
                ),
                ("window_start", models.TimeField(blank=True, null=True, verbose_name="maintenance window from")),
                (
                    "window_end",
                    models.TimeField(
                        blank=True,
                        help_text="Updates install themselves between these times only. Empty: at any time.",
                        null=True,
                        verbose_name="until",
                    ),
                ),
                (
                    "window_days",
                    models.CharField(
                        blank=True,
                        default="0123456",
                        help_text="The day on which the window opens.",
                        max_length=7,
                        verbose_name="on these days",
                    ),
                ),
                ("email_notices", models.BooleanField(default=False, verbose_name="send e-mail")),
                (
                    "email_recipients",
                    models.TextField(
                        blank=True,
                        help_text="One address a line. Empty: those of ADMINS.",
                        verbose_name="e-mail recipients",
                    ),
                ),
                (
                    "digest",
                    models.CharField(
                        choices=[
                            ("at-once", "at once"),
                            ("daily", "once a day at most"),
                            ("weekly", "once a week at most"),
                        ],
                        default="at-once",
                        help_text="Failures are always told at once.",
                        max_length=16,
                        verbose_name="how often at most",
                    ),
                ),
                ("admin_notices", models.BooleanField(default=True, verbose_name="show notices in the admin")),
                (
                    "webhook_url",
                    models.URLField(
                        blank=True,
                        help_text="Gets a POST with JSON for every notice.",
                        max_length=500,
                        verbose_name="webhook",
                    ),
                ),
                ("webhook_secret", models.CharField(blank=True, max_length=200, verbose_name="secret of the webhook")),
            ],
            options={
                "verbose_name": "update settings",
                "verbose_name_plural": "update settings",
                "permissions": [("change_settings", "Can change the settings of updates")],
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="updates_one_row_of_settings")
                ],
            },
        ),
    ]
