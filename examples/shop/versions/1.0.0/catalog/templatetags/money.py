from django import template

from catalog.pricing import formatted

register = template.Library()
register.filter("money", formatted)
