from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    operations = [
        migrations.AddField(
            "order", "reference", models.CharField(editable=False, max_length=20, null=True, unique=True)
        ),
        migrations.AddField(
            "order", "coupon_code", models.CharField(blank=True, editable=False, max_length=30)
        ),
        migrations.AddField(
            "order", "discount_cents", models.PositiveIntegerField(default=0, editable=False)
        ),
        migrations.AddField("orderitem", "unit_cents", models.PositiveIntegerField(default=0)),
    ]
