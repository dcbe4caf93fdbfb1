"""GET /health/: is this process able to serve the shop, and which version is it?"""

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def health(request):
    report = {"status": "ok", "version": settings.VERSION, "database": "ok", "migrations": "ok"}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        report["migrations"] = migration_state()
    except Error:
        report |= {"database": "unreachable", "migrations": "unknown"}
    if report["database"] != "ok" or report["migrations"] != "ok":
        report["status"] = "error"
    return JsonResponse(report, status=200 if report["status"] == "ok" else 503)


def migration_state():
    """Does the database fit this code? It may lag behind it, or belong to a newer version."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    if executor.migration_plan(loader.graph.leaf_nodes()):
        return "pending"
    unknown = set(loader.applied_migrations) - set(loader.disk_migrations)
    if any(app in loader.migrated_apps for app, _ in unknown):
        return "ahead"
    return "ok"
