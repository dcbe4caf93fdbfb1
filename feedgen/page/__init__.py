"""The public page: static files for people, rendered from what the site says anyway (docs/page.md)."""
