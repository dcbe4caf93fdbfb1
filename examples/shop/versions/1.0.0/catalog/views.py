from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from catalog.models import Category, Product

PER_PAGE = 12


@require_safe
def product_list(request, slug=None):
    category = get_object_or_404(Category, slug=slug) if slug else None
    products = Product.objects.visible()
    if category:
        products = products.filter(category=category)
    if query := request.GET.get("q", "").strip():
        products = products.search(query)
    if in_stock := "in_stock" in request.GET:
        products = products.in_stock()
    context = {
        "category": category,
        "categories": Category.objects.all(),
        "query": query,
        "in_stock": in_stock,
        "page": Paginator(products, PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "catalog/product_list.html", context)


@require_safe
def product_detail(request, slug):
    product = get_object_or_404(Product.objects.visible().select_related("category"), slug=slug)
    related = Product.objects.visible().filter(category=product.category).exclude(pk=product.pk)[:4]
    return render(request, "catalog/product_detail.html", {"product": product, "related": related})
