"""Prices are decimal amounts in the shop's one currency, tax included."""

from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings

CENT = Decimal("0.01")


def rounded(amount):
    return Decimal(amount).quantize(CENT, rounding=ROUND_HALF_UP)


def formatted(amount):
    return f"{settings.CURRENCY}\N{NO-BREAK SPACE}{rounded(amount):,.2f}"
