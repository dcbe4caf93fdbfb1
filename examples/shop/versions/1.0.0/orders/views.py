from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cart.cart import Cart
from orders.forms import CheckoutForm
from orders.models import Order
from orders.services import OrderRefused, place_order


@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request):
    cart = Cart(request.session)
    if not cart.lines or not cart.available:
        return redirect("cart")
    form = CheckoutForm(request.POST or None)
    if request.POST.get("total", str(cart.total)) != str(cart.total):
        messages.warning(request, "A price has changed in the meantime: please have another look.")
        return redirect("cart")
    if form.is_valid():
        try:
            order = place_order(form.save(commit=False), cart)
        except OrderRefused as refusal:
            messages.error(request, str(refusal))
            return redirect("cart")
        cart.clear()
        return redirect(order)
    return render(request, "orders/checkout.html", {"form": form})


@never_cache
@require_safe
def confirmation(request, token):
    order = get_object_or_404(Order.objects.prefetch_related("items"), token=token)
    response = render(request, "orders/confirmation.html", {"order": order})
    response["Referrer-Policy"] = "no-referrer"
    return response
