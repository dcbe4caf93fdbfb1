from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0006_move_stock")]

    operations = [migrations.RemoveField("product", "stock")]
