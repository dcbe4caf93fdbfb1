from django.contrib import admin

from orders.models import Order, OrderItem
from shop.money import formatted


class OrderItemInline(admin.TabularInline):
    model = OrderItem
    extra = 0
    can_delete = False
    fields = readonly_fields = ["product", "name", "unit_price", "quantity"]

    def has_add_permission(self, request, obj=None):
        return False

    @admin.display
    def unit_price(self, item):
        return formatted(item.unit_cents)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["reference", "name", "city", "total", "status", "created"]
    list_editable = ["status"]
    list_filter = ["status", "created"]
    search_fields = ["reference", "name", "email", "city"]
    date_hierarchy = "created"
    readonly_fields = ["reference", "created", "coupon_code", "discount", "total"]
    inlines = [OrderItemInline]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("items")

    def has_add_permission(self, request):
        return False

    @admin.display
    def total(self, order):
        return formatted(order.total)

    @admin.display
    def discount(self, order):
        return formatted(order.discount_cents)
