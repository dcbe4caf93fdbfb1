from django.contrib import admin

from pages.models import Page


@admin.register(Page)
class PageAdmin(admin.ModelAdmin):
    list_display = ["title", "slug", "in_menu", "position", "updated"]
    list_editable = ["in_menu", "position"]
    search_fields = ["title", "body"]
    prepopulated_fields = {"slug": ["title"]}
