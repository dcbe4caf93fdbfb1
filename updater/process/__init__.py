"""Running other programs: the manifest's commands, the restart, the health check. Standard library only."""

from updater.process.commands import PlannedCommand, plan_commands, run_manifest_command
from updater.process.health import HealthResult, probe, wait_until_healthy
from updater.process.restart import restart_app, stop_app
from updater.process.run import Completed, OnLine, run

__all__ = [
    "Completed",
    "HealthResult",
    "OnLine",
    "PlannedCommand",
    "plan_commands",
    "probe",
    "restart_app",
    "run",
    "run_manifest_command",
    "stop_app",
    "wait_until_healthy",
]
