from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0003_fill_references")]

    operations = [
        # The default is for the way back: the column returns before 0003 fills it.
        migrations.AlterField(
            "orderitem", "unit_price", models.DecimalField(default=0, decimal_places=2, max_digits=9)
        ),
        migrations.RemoveField("orderitem", "unit_price"),
    ]
