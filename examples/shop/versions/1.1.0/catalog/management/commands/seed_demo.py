import os
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.text import slugify

from catalog.demo import CATEGORIES, PAGES, WARES
from catalog.models import Category, Product
from coupons.models import Coupon
from pages.models import Page


class Command(BaseCommand):
    help = (
        "Fill the shop with demo products, pages and a coupon; what is already there stays as it is. "
        "With SHOP_ADMIN_USER and SHOP_ADMIN_PASSWORD set, also create that administrator."
    )

    @transaction.atomic
    def handle(self, *args, **options):
        made = self.catalogue() + self.pages() + self.coupons() + self.administrator()
        self.stdout.write(f"Demo shop ready: {made} new, the rest was there.")

    def catalogue(self):
        made = 0
        for position, name in enumerate(CATEGORIES):
            made += Category.objects.get_or_create(
                slug=slugify(name), defaults={"name": name, "position": position}
            )[1]
        for ware in WARES:
            product, created = Product.objects.get_or_create(
                slug=slugify(ware.name),
                defaults={
                    "category": Category.objects.get(slug=slugify(ware.category)),
                    "name": ware.name,
                    "description": ware.description,
                    "gross_cents": int(Decimal(ware.price).scaleb(2)),
                    "stock": ware.stock,
                },
            )
            if created:
                product.image.save(f"{product.slug}.svg", ContentFile(ware.image.encode()))
            made += created
        return made

    def pages(self):
        return sum(
            Page.objects.get_or_create(
                slug=slugify(title), defaults={"title": title, "body": body, "position": position}
            )[1]
            for position, (title, body) in enumerate(PAGES.items())
        )

    def coupons(self):
        return Coupon.objects.get_or_create(code="HELLO10", defaults={"percent": 10, "advertised": True})[1]

    def administrator(self):
        name, password = os.environ.get("SHOP_ADMIN_USER"), os.environ.get("SHOP_ADMIN_PASSWORD")
        users = get_user_model().objects
        if not (name and password) or users.filter(username=name).exists():
            return 0
        users.create_superuser(name, os.environ.get("SHOP_ADMIN_EMAIL", ""), password)
        return 1
