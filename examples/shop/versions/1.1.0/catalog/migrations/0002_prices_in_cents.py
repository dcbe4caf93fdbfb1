import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    operations = [
        migrations.AddField(
            "product",
            "gross_cents",
            models.PositiveIntegerField(default=0, verbose_name="price", help_text="Tax included."),
        ),
        migrations.AddField(
            "product",
            "tax_percent",
            models.DecimalField(
                default=20,
                decimal_places=1,
                max_digits=4,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(99),
                ],
            ),
        ),
    ]
