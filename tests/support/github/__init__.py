"""A stateful fake GitHub on 127.0.0.1; every request and response is checked against GitHub's own OpenAPI description.

One module per area: ``releases``, ``downloads``, ``repository``, ``settings``, ``issues``, ``graphql``. To add an area,
write a module with ``register(fake)`` and name it in ``server.AREAS``.
"""

from __future__ import annotations

from tests.support.github.faults import Fault, Killed, kill_client_at
from tests.support.github.server import FakeGitHub
from tests.support.github.state import Asset, Call, Clock, Release, Repo, Token

__all__ = ["Asset", "Call", "Clock", "FakeGitHub", "Fault", "Killed", "Release", "Repo", "Token", "kill_client_at"]
