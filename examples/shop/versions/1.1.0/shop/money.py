"""Amounts are whole cents of the shop's one currency, tax included, everywhere but on the screen."""

from decimal import Decimal

from django import forms
from django.conf import settings


def formatted(cents):
    return f"{settings.CURRENCY}\N{NO-BREAK SPACE}{cents // 100:,}.{cents % 100:02d}"


class CentsField(forms.DecimalField):
    """People type 12.50, the model keeps 1250."""

    def __init__(self, **options):
        super().__init__(**({"min_value": 0, "max_digits": 9, "decimal_places": 2} | options))

    def prepare_value(self, value):
        return Decimal(value).scaleb(-2) if isinstance(value, int) else value

    def clean(self, value):
        amount = super().clean(value)
        return None if amount is None else int(amount.scaleb(2))

    def has_changed(self, initial, data):
        return super().has_changed(self.prepare_value(initial), data)
