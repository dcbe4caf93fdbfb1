from django.core.validators import FileExtensionValidator, MinValueValidator
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
        return self.filter(active=True)

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
    price = models.DecimalField(
        max_digits=9, decimal_places=2, validators=[MinValueValidator(0)], help_text="Tax included."
    )
    stock = models.PositiveIntegerField(default=0)
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
