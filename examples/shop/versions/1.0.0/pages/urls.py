from django.urls import path

from pages import views

urlpatterns = [path("<slug:slug>/", views.show, name="page")]
