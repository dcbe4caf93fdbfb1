"""A run: one request from a web page, carried out by a process of its own. Needs no Django, so that a broken app can
still be rolled back. docs/formats.md section 9.3 says what lies in the folder that both sides share.

    python -m updater.contrib.django.runs --site /srv/shop
"""
