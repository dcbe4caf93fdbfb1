"""Badges: the JSON that shields.io reads, and a small picture of our own for those who ask nobody else. Pure."""

from __future__ import annotations

from feedgen.page.environment import environment
from updater.schema import dump_json

__all__ = ["badge_json", "badge_svg"]

_COLOURS = {"stable": "#0b6b57", "beta": "#8a5300", "alpha": "#a3322a"}
_NONE = "#5a6372"
_NARROW, _WIDE = "ijl.ft", "mwMW"


def badge_json(channel: str, message: str) -> bytes:
    """An endpoint for https://img.shields.io/endpoint."""
    colour = _colour(channel, message).lstrip("#")
    return dump_json({"schemaVersion": 1, "label": channel, "message": message, "color": colour})


def badge_svg(channel: str, message: str) -> bytes:
    """The badge as a picture."""
    template = environment().get_template("badge.svg.jinja")
    left, right = _width(channel), _width(message)
    text = template.render(channel=channel, message=message, left=left, right=right, colour=_colour(channel, message))
    return text.encode()


def _colour(channel: str, message: str) -> str:
    return _NONE if message == "none" else _COLOURS[channel]


def _width(text: str) -> int:
    """About the width of a text of 11 pixels, with room beside it; the picture then stretches the text to fit."""
    return 12 + round(sum(4.2 if char in _NARROW else 9.5 if char in _WIDE else 6.7 for char in text))
