"""The maintenance page, in front of the app's own code: WSGI and ASGI middleware. Standard library only.

    application = MaintenanceWSGI(get_wsgi_application(), "/srv/shop/maintenance.json")

It looks at one small file per request, which the updater writes (docs/formats.md section 9.2), and imports nothing of
the updater: an app that cannot install Tagship may copy this folder. It wraps the whole app, rather than being one in
its list of middleware, so that nothing of the app runs while its files and its database change.
"""

from __future__ import annotations

from .asgi import MaintenanceASGI
from .flag import FlagFile
from .wsgi import MaintenanceWSGI

__all__ = ["FlagFile", "MaintenanceASGI", "MaintenanceWSGI"]
