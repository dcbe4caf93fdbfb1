"""Apps that run as containers."""

from __future__ import annotations

from pathlib import Path


def fake_tools_path() -> Path:
    """The program that stands for docker, podman and kubectl."""
    return Path(__file__).with_name("fake_tools.py")
