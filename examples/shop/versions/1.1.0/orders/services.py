from django.db import transaction
from django.db.models import F

from catalog.models import Product
from orders.models import OrderItem


class OrderRefused(Exception):
    """The order cannot be placed; the message is for the customer."""


@transaction.atomic
def place_order(order, cart):
    """Save the order with the cart's lines and take them from the stock, or change nothing at all."""
    if coupon := cart.coupon:
        if not coupon.redeem():
            raise OrderRefused("The discount code has just been used up.")
        order.coupon_code, order.discount_cents = coupon.code, cart.discount
    order.save()
    for line in sorted(cart.lines, key=lambda line: line.product.pk):  # one order of locks for everyone
        product = line.product
        enough = Product.objects.visible().filter(pk=product.pk, stock__gte=line.quantity)
        if not enough.update(stock=F("stock") - line.quantity):
            raise OrderRefused(f"{product} is no longer available in this quantity.")
        OrderItem.objects.create(
            order=order,
            product=product,
            name=product.name,
            unit_cents=product.gross_cents,
            quantity=line.quantity,
        )
    return order
