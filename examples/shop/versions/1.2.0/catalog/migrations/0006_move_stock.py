from django.db import migrations


def to_main_warehouse(apps, schema_editor):
    using = schema_editor.connection.alias
    level = apps.get_model("catalog", "StockLevel")
    products = apps.get_model("catalog", "Product").objects.using(using)
    level.objects.using(using).bulk_create(
        level(product_id=pk, warehouse="Main", quantity=stock)
        for pk, stock in products.values_list("pk", "stock")
    )


class Migration(migrations.Migration):
    # There is no way back: the numbers of several warehouses do not fit into one column.
    dependencies = [("catalog", "0005_stocklevel")]

    operations = [migrations.RunPython(to_main_warehouse)]
