from django.contrib import admin

from catalog.pricing import formatted
from orders.models import Order, OrderItem


class OrderItemInline(admin.TabularInline):
    model = OrderItem
    extra = 0
    can_delete = False
    readonly_fields = ["product", "name", "unit_price", "quantity"]

    def has_add_permission(self, request, obj=None):
        return False


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["__str__", "name", "city", "total", "status", "created"]
    list_editable = ["status"]
    list_filter = ["status", "created"]
    search_fields = ["name", "email", "city"]
    date_hierarchy = "created"
    readonly_fields = ["created", "total"]
    inlines = [OrderItemInline]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("items")

    def has_add_permission(self, request):
        return False

    @admin.display
    def total(self, order):
        return formatted(order.total)
