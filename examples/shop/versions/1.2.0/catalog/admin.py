from django.contrib import admin

from catalog.models import Category, Product, StockLevel
from shop.money import CentsField


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "position"]
    list_editable = ["position"]
    prepopulated_fields = {"slug": ["name"]}


class StockLevelInline(admin.TabularInline):
    model = StockLevel
    extra = 1


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "gross_cents", "stock", "active"]
    list_editable = ["gross_cents", "active"]
    list_filter = ["active", "category"]
    list_select_related = ["category"]
    search_fields = ["name", "description"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [StockLevelInline]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("stock_levels")

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        if db_field.name == "gross_cents":
            return CentsField(label="Price", help_text=db_field.help_text)
        return super().formfield_for_dbfield(db_field, request, **kwargs)
