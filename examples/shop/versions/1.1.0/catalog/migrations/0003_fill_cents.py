from decimal import Decimal

from django.db import migrations


def to_cents(apps, schema_editor):
    products = apps.get_model("catalog", "Product").objects.using(schema_editor.connection.alias)
    for pk, price in products.values_list("pk", "price"):
        products.filter(pk=pk).update(gross_cents=int(price.scaleb(2)))


def to_decimal(apps, schema_editor):
    products = apps.get_model("catalog", "Product").objects.using(schema_editor.connection.alias)
    for pk, cents in products.values_list("pk", "gross_cents"):
        products.filter(pk=pk).update(price=Decimal(cents).scaleb(-2))


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_prices_in_cents")]

    operations = [migrations.RunPython(to_cents, to_decimal)]
