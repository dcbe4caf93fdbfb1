from django.urls import path

from cart import views

urlpatterns = [
    path("", views.show, name="cart"),
    path("add/<int:pk>/", views.add, name="cart-add"),
    path("update/<int:pk>/", views.update, name="cart-update"),
    path("coupon/", views.coupon, name="cart-coupon"),
]
