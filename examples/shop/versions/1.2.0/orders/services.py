from django.db import transaction
from django.db.models import F

from catalog.models import StockLevel
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
        if not take_from_stock(product, line.quantity):
            raise OrderRefused(f"{product} is no longer available in this quantity.")
        OrderItem.objects.create(
            order=order,
            product=product,
            name=product.name,
            unit_cents=product.gross_cents,
            quantity=line.quantity,
        )
    return order


def take_from_stock(product, quantity):
    """Take from the fullest warehouses first. The caller's transaction undoes it if that is not enough."""
    for level in product.stock_levels.order_by("-quantity"):
        part = min(quantity, level.quantity)
        there = StockLevel.objects.filter(pk=level.pk, quantity__gte=part)
        if part and there.update(quantity=F("quantity") - part):
            quantity -= part
    return not quantity
