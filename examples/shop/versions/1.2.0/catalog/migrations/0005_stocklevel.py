import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0004_drop_price")]

    operations = [
        migrations.CreateModel(
            "StockLevel",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("warehouse", models.CharField(default="Main", max_length=60)),
                ("quantity", models.PositiveIntegerField(default=0)),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stock_levels",
                        to="catalog.product",
                    ),
                ),
            ],
            options={
                "ordering": ["warehouse"],
                "constraints": [
                    models.UniqueConstraint(fields=("product", "warehouse"), name="one_level_per_warehouse")
                ],
            },
        ),
    ]
