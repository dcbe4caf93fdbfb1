"""Updates in Django's admin: add ``"updater.contrib.django"`` to ``INSTALLED_APPS`` (docs/django.md).

The web process never installs anything. It leaves a request in a folder, a process of its own carries it out with the
`updater` command (`updater.contrib.django.runs`, which needs no Django), and the pages show what that process wrote
down. The models mirror the engine's own records, which stay the truth: a restored database may forget them, the next
look at the files fills them again.
"""
