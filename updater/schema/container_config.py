"""``[container]`` of updater.toml: which containers run the app's image (docs/formats.md section 7). Standard library
only."""

from __future__ import annotations

import re
from typing import Literal, cast

from updater.frozen import frozen
from updater.schema.document import Reader

__all__ = ["CONTAINER_TOOLS", "ContainerConfig", "ContainerTool", "check_image", "read_container"]

ContainerTool = Literal["docker", "podman", "kubernetes"]
CONTAINER_TOOLS: tuple[ContainerTool, ...] = ("docker", "podman", "kubernetes")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]{0,255}@sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


@frozen
class ContainerConfig:
    """``services`` of the compose ``file`` run the image, which is pinned in the file ``pin`` beside it; on Kubernetes
    it is the ``container`` of a ``deployment``. ``timeout``: seconds until what was started must run."""

    tool: ContainerTool = "docker"
    file: str = "compose.yaml"
    pin: str = "compose.override.yaml"
    services: tuple[str, ...] = ()
    namespace: str = "default"
    deployment: str = ""
    container: str = ""
    timeout: float = 300.0

    @property
    def is_used(self) -> bool:
        """Whether the app runs in containers at all."""
        return bool(self.services or self.deployment)


def check_image(text: str) -> None:
    """Raise ValueError unless ``text`` names one image for ever: a reference with a digest."""
    if not _IMAGE.fullmatch(text):
        raise ValueError("must be an image by digest, such as ghcr.io/acme/shop@sha256:0123… (64 hex digits)")


def read_container(section: Reader) -> ContainerConfig:
    """Read the table; what is wrong is noted in ``section``."""

    def check_word(text: str) -> None:
        if not _WORD.fullmatch(text):
            raise ValueError("must be a name of letters, digits, dots, dashes and underscores")

    def check_file(text: str) -> None:
        if text.startswith("-"):
            raise ValueError("must be the path of a file")

    config = ContainerConfig(
        tool=cast(ContainerTool, section.choice("tool", CONTAINER_TOOLS, default="docker")),
        file=section.text("file", default=ContainerConfig.file, check=check_file),
        pin=section.text("pin", default=ContainerConfig.pin, check=check_file),
        services=section.texts("services", check=check_word),
        namespace=section.text("namespace", default=ContainerConfig.namespace, check=check_word),
        deployment=section.text("deployment", default="", check=check_word, empty=True),
        container=section.text("container", default="", check=check_word, empty=True),
        timeout=section.number("timeout", default=300.0, minimum=1),
    )
    if config.tool == "kubernetes":
        if bool(config.deployment) != bool(config.container):
            missing = "container" if config.deployment else "deployment"
            section.problem(missing, "is missing: deployment and container go together")
        if config.services:
            section.problem("services", 'belong to a compose file; tool = "kubernetes" has deployment and container')
    elif config.deployment or config.container:
        section.problem("deployment", 'goes with tool = "kubernetes"; docker and podman have services')
    if config.file == config.pin:
        section.problem("pin", "must not be the compose file itself")
    return config
