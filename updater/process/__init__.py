"""Running other programs: the manifest's commands, the restart, the health check. Standard library only."""

from updater.process.alert import Alert, AlertEvent, send_alert
from updater.process.commands import PlannedCommand, plan_commands, run_manifest_command
from updater.process.health import HealthResult, probe, wait_until_healthy
from updater.process.probation import watch
from updater.process.restart import restart_app, stop_app
from updater.process.run import Completed, OnLine, run

__all__ = [
    "Alert",
    "AlertEvent",
    "Completed",
    "HealthResult",
    "OnLine",
    "PlannedCommand",
    "plan_commands",
    "probe",
    "restart_app",
    "run",
    "run_manifest_command",
    "send_alert",
    "stop_app",
    "wait_until_healthy",
    "watch",
]
