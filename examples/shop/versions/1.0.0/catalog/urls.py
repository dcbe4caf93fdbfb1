from django.urls import path

from catalog import views

urlpatterns = [
    path("", views.product_list, name="home"),
    path("category/<slug:slug>/", views.product_list, name="category"),
    path("product/<slug:slug>/", views.product_detail, name="product"),
]
