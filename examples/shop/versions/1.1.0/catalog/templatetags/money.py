from django import template

from shop.money import formatted

register = template.Library()
register.filter("money", formatted)
