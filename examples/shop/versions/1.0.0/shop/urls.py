from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from shop import files
from shop.health import health

admin.site.site_header = admin.site.site_title = settings.SHOP_NAME
admin.site.index_title = "Back office"

urlpatterns = [
    path("", include("catalog.urls")),
    path("cart/", include("cart.urls")),
    path("", include("orders.urls")),
    path("pages/", include("pages.urls")),
    path("admin/", admin.site.urls),
    path("health/", health, name="health"),
    path("static/<path:path>", files.static),
    path("media/<path:path>", files.media),
]
