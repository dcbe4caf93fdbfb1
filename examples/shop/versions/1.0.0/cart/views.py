from django import forms
from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from cart.cart import Cart
from catalog.models import Product


class QuantityForm(forms.Form):
    quantity = forms.IntegerField(min_value=0, max_value=999)


class AddForm(forms.Form):
    quantity = forms.IntegerField(min_value=1, max_value=999)


@require_safe
def show(request):
    return render(request, "cart/cart.html")


@require_POST
def add(request, pk):
    product = get_object_or_404(Product.objects.visible(), pk=pk)
    form = AddForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Please give a quantity between 1 and 999.")
        return redirect(product)
    cart = Cart(request.session)
    wanted = cart.quantity(product) + form.cleaned_data["quantity"]
    got = cart.set(product, wanted)
    if not got:
        messages.error(request, f"{product} is sold out.")
        return redirect(product)
    if got < wanted:
        messages.warning(request, f"There are only {got} of {product} left; all of them are in your cart.")
    else:
        messages.success(request, f"{product} is in your cart.")
    return redirect("cart")


@require_POST
def update(request, pk):
    product = get_object_or_404(Product, pk=pk)
    form = QuantityForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Please give a quantity between 0 and 999.")
    elif Cart(request.session).set(product, form.cleaned_data["quantity"]) < form.cleaned_data["quantity"]:
        messages.warning(request, f"There are only {product.stock} of {product}.")
    return redirect("cart")
