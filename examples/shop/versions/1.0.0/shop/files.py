"""Static and uploaded files, served by the app itself.

That is enough for a demo or a small shop. A busy site lets its web server answer /static/ and /media/ from
STATIC_ROOT and MEDIA_ROOT, and these views are never reached. `serve` refuses paths outside its root.
"""

from django.conf import settings
from django.contrib.staticfiles.views import serve as serve_from_source
from django.views.decorators.http import require_safe
from django.views.static import serve


@require_safe
def static(request, path):
    if settings.DEBUG:
        return serve_from_source(request, path)
    response = serve(request, path, document_root=settings.STATIC_ROOT)
    response["Cache-Control"] = "no-cache"  # kept, but asked about, so that an update shows at once
    return response


@require_safe
def media(request, path):
    response = serve(request, path, document_root=settings.MEDIA_ROOT)
    # An uploaded SVG may carry scripts: opened on its own it must not act as a page of this site.
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return response
