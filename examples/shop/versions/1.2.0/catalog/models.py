from django.core.validators import FileExtensionValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

IMAGE_TYPES = ["avif", "gif", "jpeg", "jpg", "png", "svg", "webp"]


class Category(models.Model):
    name = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(unique=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower numbers come first.")

    class Meta:
        ordering = ["position", "name"]
        verbose_name_plural = "categories"

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("category", args=[self.slug])


class ProductQuerySet(models.QuerySet):
    def visible(self):
        return self.filter(active=True).prefetch_related("stock_levels")

    def in_stock(self):
        return self.filter(stock__gt=0)

    def search(self, text):
        found = self
        for word in text.split():
            found = found.filter(models.Q(name__icontains=word) | models.Q(description__icontains=word))
        return found


class Product(models.Model):
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    gross_cents = models.PositiveIntegerField("price", default=0, help_text="Tax included.")
    tax_percent = models.DecimalField(
        max_digits=4, decimal_places=1, default=20, validators=[MinValueValidator(0), MaxValueValidator(99)]
    )
    image = models.FileField(
        upload_to="products/", blank=True, validators=[FileExtensionValidator(IMAGE_TYPES)]
    )
    active = models.BooleanField(default=True, help_text="Shown in the shop.")
    created = models.DateTimeField(auto_now_add=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("product", args=[self.slug])

    @property
    def stock(self):
        return sum(level.quantity for level in self.stock_levels.all())

    @property
    def net_cents(self):
        return round(self.gross_cents * 100 / (100 + self.tax_percent))

    @property
    def tax_cents(self):
        return self.gross_cents - self.net_cents


class StockLevel(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="stock_levels")
    warehouse = models.CharField(max_length=60, default="Main")
    quantity = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["warehouse"]
        constraints = [
            models.UniqueConstraint(fields=["product", "warehouse"], name="one_level_per_warehouse")
        ]

    def __str__(self):
        return f"{self.quantity} in {self.warehouse}"
