from decimal import Decimal

from django.db import migrations


def fill(apps, schema_editor):
    using = schema_editor.connection.alias
    orders = apps.get_model("orders", "Order").objects.using(using)
    for pk, created in orders.values_list("pk", "created"):
        orders.filter(pk=pk).update(reference=f"{created:%Y}-{pk:05d}")
    items = apps.get_model("orders", "OrderItem").objects.using(using)
    for pk, price in items.values_list("pk", "unit_price"):
        items.filter(pk=pk).update(unit_cents=int(price.scaleb(2)))


def unfill(apps, schema_editor):
    items = apps.get_model("orders", "OrderItem").objects.using(schema_editor.connection.alias)
    for pk, cents in items.values_list("pk", "unit_cents"):
        items.filter(pk=pk).update(unit_price=Decimal(cents).scaleb(-2))


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_references_and_discounts")]

    operations = [migrations.RunPython(fill, unfill)]
