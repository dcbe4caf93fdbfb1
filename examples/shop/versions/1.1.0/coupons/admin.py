from django.contrib import admin

from coupons.models import Coupon


@admin.register(Coupon)
class CouponAdmin(admin.ModelAdmin):
    list_display = ["code", "percent", "active", "advertised", "valid_until", "max_uses", "used"]
    list_editable = ["active", "advertised"]
    readonly_fields = ["used"]
    search_fields = ["code"]
