from django.db import models
from django.urls import reverse


class Page(models.Model):
    title = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    body = models.TextField(
        help_text="Plain text. An empty line starts a new paragraph; addresses become links."
    )
    in_menu = models.BooleanField("in the footer", default=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower numbers come first.")
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["position", "title"]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("page", args=[self.slug])
