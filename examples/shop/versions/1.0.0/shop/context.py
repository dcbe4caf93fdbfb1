from django.conf import settings
from django.utils.functional import SimpleLazyObject

from cart.cart import Cart
from pages.models import Page


def shop(request):
    """What every page shows. Nothing is fetched until a template uses it."""
    return {
        "shop_name": settings.SHOP_NAME,
        "shop_version": settings.VERSION,
        "cart": SimpleLazyObject(lambda: Cart(request.session)),
        "menu_pages": Page.objects.filter(in_menu=True),
    }
