from django.conf import settings
from django.utils.functional import SimpleLazyObject

from cart.cart import Cart
from coupons.models import Coupon
from pages.models import Page


def shop(request):
    """What every page shows. Nothing is fetched until a template uses it."""
    return {
        "shop_name": settings.SHOP_NAME,
        "shop_version": settings.VERSION,
        "cart": SimpleLazyObject(lambda: Cart(request.session)),
        "promotions": Coupon.objects.usable().filter(advertised=True)[:1],
        "menu_pages": Page.objects.filter(in_menu=True),
    }
