"""What other apps can listen to. Every signal is sent with the keyword ``log`` or ``update``, a row of a model.

They are sent by whichever process notices first: a check, the follow-up of an update, a page view. A receiver that
fails is logged and stops nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["update_available", "update_failed", "update_installed"]

update_available = Signal()
"""A version is offered for the first time; ``update`` is the AvailableUpdate."""

update_installed = Signal()
"""An update was installed, or a rollback carried out; ``log`` is the UpdateLog."""

update_failed = Signal()
"""An update or a rollback did not succeed, whether it could be undone or not; ``log`` is the UpdateLog."""
