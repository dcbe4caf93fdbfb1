from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone


class CouponQuerySet(models.QuerySet):
    def usable(self):
        in_time = models.Q(valid_until=None) | models.Q(valid_until__gt=timezone.now())
        uses_left = models.Q(max_uses=None) | models.Q(max_uses__gt=models.F("used"))
        return self.filter(in_time, uses_left, active=True)


class Coupon(models.Model):
    code = models.CharField(max_length=30, unique=True, help_text="Customers may type it in any case.")
    percent = models.PositiveSmallIntegerField(
        "discount in percent", validators=[MinValueValidator(1), MaxValueValidator(90)]
    )
    active = models.BooleanField(default=True)
    advertised = models.BooleanField(default=False, help_text="Shown at the top of every page.")
    valid_until = models.DateTimeField(null=True, blank=True)
    max_uses = models.PositiveIntegerField(null=True, blank=True)
    used = models.PositiveIntegerField(default=0, editable=False)

    objects = CouponQuerySet.as_manager()

    class Meta:
        ordering = ["code"]

    def __str__(self):
        return self.code

    def save(self, *args, **kwargs):
        self.code = self.code.strip().upper()
        super().save(*args, **kwargs)

    def discount(self, cents):
        return cents * self.percent // 100

    def redeem(self):
        """Count one use; False when somebody else took the last one."""
        usable = Coupon.objects.usable().filter(pk=self.pk)
        return bool(usable.update(used=models.F("used") + 1))
