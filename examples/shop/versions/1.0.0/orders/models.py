import uuid

from django.db import models
from django.urls import reverse

from catalog.models import Product


class Order(models.Model):
    class Status(models.TextChoices):
        NEW = "new", "New"
        PAID = "paid", "Paid"
        SHIPPED = "shipped", "Shipped"
        CANCELLED = "cancelled", "Cancelled"

    # The confirmation page has no login: its address is the secret.
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.NEW)
    created = models.DateTimeField(auto_now_add=True)
    name = models.CharField("full name", max_length=120)
    email = models.EmailField("email address")
    street = models.CharField("street and number", max_length=160)
    postcode = models.CharField(max_length=12)
    city = models.CharField(max_length=80)
    country = models.CharField(max_length=60)
    note = models.TextField("note for us", blank=True, max_length=1000)

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self):
        return f"Order {self.pk}"

    def get_absolute_url(self):
        return reverse("order", args=[self.token])

    @property
    def total(self):
        return sum(item.total for item in self.items.all())


class OrderItem(models.Model):
    """A line of an order: name and price as they were when it was placed."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, on_delete=models.SET_NULL, null=True, related_name="order_items")
    name = models.CharField(max_length=120)
    unit_price = models.DecimalField(max_digits=9, decimal_places=2)
    quantity = models.PositiveIntegerField()

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.quantity} × {self.name}"

    @property
    def total(self):
        return self.unit_price * self.quantity
