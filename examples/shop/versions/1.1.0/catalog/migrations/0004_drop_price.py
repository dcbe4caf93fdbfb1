from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0003_fill_cents")]

    operations = [
        # The default is for the way back: the column returns before 0003 fills it.
        migrations.AlterField(
            "product", "price", models.DecimalField(default=0, decimal_places=2, max_digits=9)
        ),
        migrations.RemoveField("product", "price"),
    ]
