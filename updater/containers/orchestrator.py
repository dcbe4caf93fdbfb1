"""What starts containers: ``docker compose``, ``podman compose`` or a Kubernetes cluster, asked through their own
commands. Standard library only.

Sources: docker compose up (``--wait`` waits for health checks), the merging of compose files (a later one wins; JSON is
YAML), kubectl set image and rollout status.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from updater.errors import BlockedError, CommandError, ConfigError
from updater.process.run import run
from updater.schema.container_config import ContainerConfig, check_image
from updater.site.files import write_atomic
from updater.site.reading import read_file

__all__ = ["Compose", "Kubernetes", "Orchestrator", "open_orchestrator"]

_MARK = "# Written by Tagship: the image of the release that runs, by digest. `updater container` changes it.\n"
_MOST_PIN = 1 << 20
_FETCH_TIMEOUT = 3600.0
_QUICK = 60.0


class Orchestrator(Protocol):
    """One app's containers. Everything but `describe` raises CommandError when it does not work."""

    def running(self) -> str | None:
        """The image that is pinned now; None when nobody has pinned one."""
        ...

    def fetch(self, image: str) -> None:
        """Bring an image here, without changing what runs."""
        ...

    def stop(self) -> None:
        """End the app's containers; the database's own stay."""
        ...

    def start(self, image: str) -> None:
        """Pin an image, run it, and wait until what was started is up."""
        ...

    def describe(self, image: str) -> list[str]:
        """The same for a person to do: a line each."""
        ...


def open_orchestrator(config: ContainerConfig, folder: Path, environ: Mapping[str, str]) -> Orchestrator:
    """The one that the settings name; nothing is asked yet. ``folder``: where its files lie and its commands run.

    Raises ConfigError when the settings name no containers.
    """
    if not config.is_used:
        raise ConfigError(
            "updater.toml does not say which containers run the app.",
            hint='Add [container] services = ["web"], or adopt it with `updater container adopt`.',
        )
    if config.tool == "kubernetes":
        return Kubernetes(config, folder, environ)
    return Compose(config, folder, environ)


class _Commands:
    def __init__(self, config: ContainerConfig, folder: Path, environ: Mapping[str, str]) -> None:
        self._config = config
        self._folder = folder
        self._environ = environ

    def _run(self, words: Sequence[str], timeout: float) -> str:
        done = run(words, timeout=timeout, cwd=self._folder, env=self._environ)
        if done.returncode:
            said = f": {done.output[-2000:]}" if done.output else ""
            raise CommandError(
                f"`{shlex.join(words)}` {done.outcome}{said}",
                output=done.output,
                hint="Run it by hand in the site's folder to see more.",
            )
        return done.output


class Compose(_Commands):
    """Services of a compose file. The image stands in a second file, which compose merges over the first."""

    def running(self) -> str | None:
        """See `Orchestrator`. Raises BlockedError for a pin file that somebody else wrote."""
        path = self._folder / self._config.pin
        try:
            text = read_file(path, most=_MOST_PIN).decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        try:
            services = json.loads(text.removeprefix(_MARK))["services"]
            image = str(services[self._config.services[0]]["image"])
            check_image(image)
        except (ValueError, KeyError, TypeError):
            image = ""
        if not text.startswith(_MARK) or not image:
            raise BlockedError(
                f"{path} is there, and was not written by Tagship.",
                hint='Choose another name with [container] pin = "compose.tagship.yaml" in updater.toml, and use both '
                f"files yourself: COMPOSE_FILE={self._config.file}:compose.tagship.yaml",
            )
        return image

    def fetch(self, image: str) -> None:
        """See `Orchestrator`."""
        self._run([self._config.tool, "pull", image], _FETCH_TIMEOUT)

    def stop(self) -> None:
        """See `Orchestrator`."""
        self._run([*self._compose(), "stop", *self._config.services], self._config.timeout)

    def start(self, image: str) -> None:
        """See `Orchestrator`."""
        write_atomic(self._folder / self._config.pin, self._pin(image).encode(), mode=0o644)
        self._run([*self._compose(pinned=True), *self._up()], self._config.timeout + _QUICK)

    def describe(self, image: str) -> list[str]:
        """See `Orchestrator`."""
        return [
            shlex.join([self._config.tool, "pull", image]),
            f"cat > {shlex.quote(self._config.pin)} <<'END'\n{self._pin(image)}END",
            shlex.join([*self._compose(pinned=True), *self._up()]),
        ]

    def _pin(self, image: str) -> str:
        services = {name: {"image": image} for name in self._config.services}
        return f"{_MARK}{json.dumps({'services': services}, indent=2)}\n"

    def _up(self) -> list[str]:
        words = ["up", "--detach", "--no-build"]
        if self._config.tool == "docker":  # podman's do not know it
            words += ["--wait", "--wait-timeout", f"{self._config.timeout:.0f}"]
        return [*words, *self._config.services]

    def _compose(self, *, pinned: bool = False) -> list[str]:
        words = [self._config.tool, "compose", "--file", self._config.file]
        if pinned or self.running() is not None:
            words += ["--file", self._config.pin]
        return words


class Kubernetes(_Commands):
    """One container of a deployment. The cluster fetches images and replaces pods by itself."""

    def running(self) -> str | None:
        """See `Orchestrator`."""
        path = f'{{.spec.template.spec.containers[?(@.name=="{self._config.container}")].image}}'
        image = self._run(
            [*self._kubectl("get", "deployment", self._config.deployment), "--output", f"jsonpath={path}"], _QUICK
        )
        try:
            check_image(image)
        except ValueError:
            return None
        return image

    def fetch(self, image: str) -> None:
        """Nothing: the cluster does."""

    def stop(self) -> None:
        """Nothing: pods are replaced one by one."""

    def start(self, image: str) -> None:
        """See `Orchestrator`."""
        self._run(self._set(image), _QUICK)
        self._run(self._status(), self._config.timeout + _QUICK)

    def describe(self, image: str) -> list[str]:
        """See `Orchestrator`."""
        return [shlex.join(self._set(image)), shlex.join(self._status())]

    def _set(self, image: str) -> list[str]:
        return [
            *self._kubectl("set", "image", f"deployment/{self._config.deployment}"),
            f"{self._config.container}={image}",
        ]

    def _status(self) -> list[str]:
        words = self._kubectl("rollout", "status", f"deployment/{self._config.deployment}")
        return [*words, f"--timeout={self._config.timeout:.0f}s"]

    def _kubectl(self, *words: str) -> list[str]:
        return ["kubectl", *words, "--namespace", self._config.namespace]
