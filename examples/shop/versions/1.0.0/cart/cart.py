from dataclasses import dataclass
from functools import cached_property

from catalog.models import Product

SESSION_KEY = "cart"


@dataclass(frozen=True)
class Line:
    product: Product
    quantity: int

    @property
    def total(self):
        return self.product.price * self.quantity

    @property
    def available(self):
        return self.quantity <= self.product.stock


class Cart:
    """The visitor's cart. The session keeps product ids and quantities only, never prices."""

    def __init__(self, session):
        self.session = session
        self.quantities = session.get(SESSION_KEY, {})

    def __len__(self):
        return sum(line.quantity for line in self.lines)

    @cached_property
    def lines(self):
        products = Product.objects.visible().filter(pk__in=self.quantities)
        return [Line(product, self.quantities[str(product.pk)]) for product in products]

    @property
    def total(self):
        return sum(line.total for line in self.lines)

    @property
    def available(self):
        return all(line.available for line in self.lines)

    def quantity(self, product):
        return self.quantities.get(str(product.pk), 0)

    def set(self, product, quantity):
        """Put `quantity` of the product in the cart, or as many as there are; 0 takes it out."""
        quantity = min(quantity, product.stock)
        if quantity > 0:
            self.quantities[str(product.pk)] = quantity
        else:
            self.quantities.pop(str(product.pk), None)
        self._save()
        return quantity

    def clear(self):
        self.quantities = {}
        self._save()

    def _save(self):
        self.session[SESSION_KEY] = self.quantities
        self.__dict__.pop("lines", None)
