"""The values that count: the row of settings, under what the project's code pins (``UPDATER_PINNED``)."""

from __future__ import annotations

import copy

from updater.contrib.django.conf import Conf, conf
from updater.contrib.django.models import UpdateSettings
from updater.contrib.django.policy import Policy

__all__ = ["PINNABLE", "effective", "effective_policy"]

PINNABLE = tuple(field.name for field in UpdateSettings._meta.fields if not field.primary_key)


def effective(row: UpdateSettings, settings: Conf | None = None) -> UpdateSettings:
    """A copy of the row with the pinned values in it; not to be saved."""
    result = copy.copy(row)
    for name, value in (settings or conf()).pinned.items():
        if name in PINNABLE:
            setattr(result, name, value)
    return result


def effective_policy(row: UpdateSettings, settings: Conf | None = None) -> Policy:
    """When to check and what may install itself."""
    return effective(row, settings).policy()
