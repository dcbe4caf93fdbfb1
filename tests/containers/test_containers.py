"""Sites of containers, end to end: real feeds, a compose file, a database, a health check; only the tools are ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers import fake_tools_path
from tests.support.packages import make_package
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from updater import Updater
from updater.containers import ContainerSite, Pinned, adopt
from updater.containers.record import read_containers
from updater.errors import (
    BlockedError,
    CommandError,
    ConfigError,
    RollbackError,
    RolledBackError,
    StateError,
    UpToDateError,
)
from updater.schema.container_config import ContainerConfig
from updater.schema.release import Requires
from updater.site import Site, read_history

COMPOSE = ContainerConfig(services=("web", "worker"))
CLUSTER = ContainerConfig(tool="kubernetes", namespace="prod", deployment="shop", container="web")


def image_of(version: str) -> str:
    return f"ghcr.io/acme/shop@sha256:{version.encode().hex():0<64}"


class Shop:
    """A compose file whose services run 1.0.0, and a feed."""

    def __init__(self, home: Path, config: ContainerConfig) -> None:
        self.site = Site(home / "site")
        self.site.path.mkdir()
        self.state = home / "state"
        self.state.mkdir()
        self.config = config
        self.publisher = SitePublisher("shop")
        self.registry: dict[str, dict[str, Any]] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.state / "port").write_text(str(self.port))
        tools = home / "bin"
        tools.mkdir()
        for name in ("docker", "podman", "kubectl"):
            (tools / name).write_text(f"#!{sys.executable}\n{fake_tools_path().read_text()}")
            (tools / name).chmod(0o755)
        self.environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "FAKE_STATE": str(self.state)}
        services = {name: {"image": image_of("1.0.0")} for name in ("web", "worker")}
        (self.site.path / "compose.yaml").write_text(json.dumps({"services": services}))
        (self.state / "deployed").write_text(image_of("1.0.0"))
        self.release("1.0.0")
        self.tool("docker", "pull", image_of("1.0.0"))
        if config.tool == "kubernetes":
            self.tool("kubectl", "rollout", "status", "deployment/shop", "--namespace", "prod", "--timeout=1s")
        else:
            self.tool("docker", "compose", "--file", "compose.yaml", "up", "--detach", "--no-build", "web", "worker")
        (self.state / "calls").write_text("")

    def release(self, version: str, *, starts: bool = True, answers: str = "", image: bool = True, **more: Any) -> None:
        self.registry[image_of(version)] = {"version": version, "starts": starts, "answers": answers or version}
        (self.state / "registry.json").write_text(json.dumps(self.registry))
        built = make_package({"app.txt": version.encode()}, version=version)
        self.publisher.publish(built, container=image_of(version) if image else None, **more)

    def tool(self, *words: str) -> None:
        subprocess.run(words, cwd=self.site.path, env=self.environ, check=True, capture_output=True)

    def adopt(self, url: str = "", **more: Any) -> None:
        adopt(
            url or self.publisher.url,
            self.site.path,
            self.config,
            more.pop("transport", self.publisher),
            root=self.publisher.root,
            environ=self.environ,
            **{"version": "1.0.0", **more},
        )
        with self.site.config_path.open("a") as config:
            config.write(
                f'[health]\nurl = "http://127.0.0.1:{self.port}/"\ntimeout = 3\ninterval = 0.05\nanswers = 1\n'
                f'[database]\nkind = "sqlite"\npath = {json.dumps(str(self.state / "db.sqlite3"))}\n'
            )

    @property
    def containers(self) -> ContainerSite:
        return ContainerSite(self.site, self.publisher, environ=self.environ)

    def update(self, to: str | None = None) -> None:
        self.containers.carry_out(self.containers.plan(to))

    def answers(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
            return str(json.load(answer)["version"])

    def migrated(self) -> list[str]:
        """The versions that ran on this database, oldest first."""
        with contextlib.closing(sqlite3.connect(self.state / "db.sqlite3")) as database:
            return [row[0] for row in database.execute("SELECT version FROM migrations")]

    def calls(self) -> list[str]:
        return (self.state / "calls").read_text().splitlines()

    def stop(self) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.state / "pid").read_text()), signal.SIGKILL)


@pytest.fixture(params=[COMPOSE, ContainerConfig(tool="podman", services=("web",)), CLUSTER], ids=lambda c: c.tool)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, request.param)
    yield made
    made.stop()


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, COMPOSE)
    yield made
    made.stop()


def test_adopting_changes_nothing_that_runs(shop: Shop):
    before = sorted(path.name for path in shop.site.path.iterdir())
    shop.adopt()
    assert shop.answers() == "1.0.0"
    assert sorted(path.name for path in shop.site.path.iterdir()) == [".updater", *before, "updater.toml"]
    assert shop.containers.containers().current == Pinned("1.0.0", image_of("1.0.0"))
    with pytest.raises(UpToDateError):
        shop.containers.plan()


def test_an_update_pins_the_image_by_its_digest(shop: Shop):
    shop.adopt()
    shop.release("1.1.0")
    plan = shop.containers.plan()
    assert shop.answers() == "1.0.0" and image_of("1.1.0") in " ".join(plan.commands)
    shop.containers.carry_out(plan)
    assert (shop.answers(), shop.migrated()) == ("1.1.0", ["1.0.0", "1.1.0"])
    record = shop.containers.containers()
    assert record.current.version == "1.1.0" and record.previous is not None and record.pending is None
    assert shop.site.state().version == "1.1.0"
    last = read_history(shop.site.history_path)[-1]
    assert (last["event"], last["result"], last["image"]) == ("update", "done", image_of("1.1.0"))
    if shop.config.tool != "kubernetes":
        text = (shop.site.path / "compose.override.yaml").read_text()
        assert text.startswith("# Written by Tagship") and text.count(image_of("1.1.0")) == len(shop.config.services)
        assert json.loads((shop.site.path / "compose.yaml").read_text())["services"]["web"]["image"] == image_of(
            "1.0.0"
        )


@pytest.mark.parametrize("how", [{"starts": False}, {"answers": "1.0.9"}], ids=["does not start", "wrong answer"])
def test_one_that_fails_goes_all_the_way_back(shop: Shop, how):
    shop.adopt()
    shop.release("1.1.0", **how)
    with pytest.raises(RolledBackError, match=r"1\.0\.0 runs again"):
        shop.update()
    assert (shop.answers(), shop.migrated()[:1]) == ("1.0.0", ["1.0.0"])
    assert "1.1.0" not in shop.migrated(), "the database is that of before"
    assert shop.containers.containers() == read_containers(shop.site.directory / "container.json")
    assert shop.containers.containers().pending is None and shop.site.state().version == "1.0.0"
    assert list((shop.site.directory / "container").iterdir()) == []
    with pytest.raises(BlockedError) as caught:
        shop.containers.plan(automatic=True)
    assert "it failed on this site once" in " ".join(caught.value.reasons)


def test_going_back_by_hand_brings_the_database_along(shop: Shop):
    shop.adopt()
    shop.release("1.1.0")
    shop.update()
    plan = shop.containers.plan_rollback()
    assert plan.restore
    shop.containers.carry_out(plan)
    assert (shop.answers(), "1.1.0" in shop.migrated()) == ("1.0.0", False)
    assert shop.containers.containers().current.version == "1.0.0"
    assert read_history(shop.site.history_path)[-1]["event"] == "rollback"


def test_a_rollback_that_fails_keeps_what_ran_and_its_database(compose: Shop):
    compose.adopt()
    compose.release("1.1.0")
    compose.update()
    compose.registry[image_of("1.0.0")]["starts"] = False
    (compose.state / "registry.json").write_text(json.dumps(compose.registry))
    with pytest.raises(RolledBackError, match=r"1\.1\.0 runs again"):
        compose.containers.carry_out(compose.containers.plan_rollback())
    assert (compose.answers(), compose.migrated()) == ("1.1.0", ["1.0.0", "1.1.0", "1.1.0"])
    assert compose.containers.containers().current.version == compose.site.state().version == "1.1.0"


def test_what_was_not_written_down_to_its_end_is_the_record_of_containers(compose: Shop):
    compose.adopt()
    compose.release("1.1.0")
    compose.update()
    compose.site.write_state(compose.site.state().with_version("1.0.0"))  # killed just before
    with pytest.raises(UpToDateError):
        compose.containers.plan()


def test_or_leaves_it(compose: Shop):
    compose.adopt()
    compose.release("1.1.0")
    compose.update()
    compose.containers.carry_out(compose.containers.plan_rollback(keep_database=True))
    assert (compose.answers(), compose.migrated()) == ("1.0.0", ["1.0.0", "1.1.0", "1.0.0"])


@pytest.mark.parametrize("dies_at", ["stop", "up"])
def test_a_killed_update_is_undone_by_the_next_command(compose: Shop, dies_at):
    compose.adopt()
    compose.release("1.1.0")
    script = (
        "import os, signal, sys, updater.containers.orchestrator as o\n"
        "from pathlib import Path\n"
        "run = o.run\n"
        "def dying(words, **more):\n"
        "    done = run(words, **more)\n"
        f"    if {dies_at!r} in words: os.kill(os.getpid(), 9)\n"
        "    return done\n"
        "o.run = dying\n"
        "from updater.cli import main\n"
        "main(['container', 'update', '--yes', '--allow-stale', '--site', sys.argv[1]])\n"
    )
    with compose.publisher.serving() as server:
        serve(compose, server)
        words = [sys.executable, "-c", script, str(compose.site.path)]
        done = subprocess.run(words, env=compose.environ, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert compose.containers.containers().pending == Pinned("1.1.0", image_of("1.1.0"))
        assert compose.containers.recover()
    assert (compose.answers(), "1.1.0" in compose.migrated()) == ("1.0.0", False)
    assert not compose.containers.recover()
    compose.update()
    assert compose.answers() == "1.1.0"


def serve(shop: Shop, server: LoopbackServer) -> None:
    text = shop.site.config_path.read_text()
    shop.site.config_path.write_text(text.replace(shop.publisher.url, f"{server.url}stable.json"))


def test_that_the_way_back_failed_too_is_said_and_can_be_tried_again(compose: Shop):
    compose.adopt()
    compose.release("1.1.0", starts=False)
    kept = compose.registry.pop(image_of("1.0.0"))
    (compose.state / "registry.json").write_text(json.dumps(compose.registry))
    with pytest.raises(RollbackError, match="undoing it failed too"):
        compose.update()
    compose.registry[image_of("1.0.0")] = kept
    (compose.state / "registry.json").write_text(json.dumps(compose.registry))
    assert compose.containers.recover()
    assert compose.answers() == "1.0.0"


def test_an_image_that_cannot_be_fetched_changes_nothing(compose: Shop):
    compose.adopt()
    compose.release("1.1.0")
    (compose.state / "registry.json").write_text("{}")
    with pytest.raises(CommandError, match="manifest unknown"):
        compose.update()
    assert compose.answers() == "1.0.0" and compose.containers.containers().pending is None
    assert [call.split()[1] for call in compose.calls()] == ["pull"]


def test_a_file_of_the_owners_own_is_not_replaced(compose: Shop):
    compose.adopt()
    compose.release("1.1.0")
    (compose.site.path / "compose.override.yaml").write_text('{"services": {"web": {"ports": ["80:80"]}}}')
    with pytest.raises(BlockedError, match="not written by Tagship"):
        compose.update()
    assert compose.calls() == []


def test_the_owners_hook_may_refuse(compose: Shop):
    compose.adopt()
    compose.release("1.1.0")
    with compose.site.config_path.open("a") as config:
        config.write('[hooks]\nafter = ["sh", "-c", "echo $UPDATER_EVENT $UPDATER_TO; exit 1"]\n')
    with pytest.raises(RolledBackError, match=r"after-update 1\.1\.0"):
        compose.update()
    assert compose.answers() == "1.0.0"


def test_stops_policy_and_requirements_are_those_of_any_site(compose: Shop):
    compose.adopt()
    compose.release("1.1.0", stop=True)
    compose.release("1.2.0", requires=Requires(python=">=99"))
    compose.release("1.3.0", image=False)
    plan = compose.containers.plan()
    assert (plan.target.version, plan.further) == ("1.1.0", ("1.2.0",)), "an image brings its own Python"
    assert Updater(compose.site, transport=compose.publisher).check().to_version == "1.1.0"
    with pytest.raises(BlockedError):
        compose.containers.plan(unattended=True)
    with pytest.raises(BlockedError, match=r"(?s)runs as containers"):
        Updater(compose.site, transport=compose.publisher).plan()


def test_what_runs_is_told_by_its_digest_or_by_the_owner(shop: Shop):
    if shop.config.tool == "kubernetes":
        shop.adopt(version=None)
        assert shop.containers.containers().current.version == "1.0.0"
    else:
        with pytest.raises(ConfigError, match="cannot be told"):
            shop.adopt(version=None)
        assert not shop.site.directory.exists()
    shop.release("0.9.0", image=False)
    with pytest.raises(BlockedError, match="without an image"):
        shop.adopt(version="0.9.0")


def test_inside_of_a_container_it_refuses(compose: Shop, monkeypatch):
    from updater.install.container import Container

    compose.adopt()
    compose.release("1.1.0")
    plan = compose.containers.plan()
    monkeypatch.setattr("updater.containers.site.find_container", lambda *_: Container("docker", "/", None))
    with pytest.raises(BlockedError, match="cannot replace itself"):
        compose.containers.carry_out(plan)
    assert compose.calls() == []


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 2}', '{"format": 1, "current": {"version": "1.0.0"}}', "no"])
def test_a_damaged_record_is_told(compose: Shop, text):
    compose.adopt()
    (compose.site.directory / "container.json").write_text(text)
    with pytest.raises(StateError):
        compose.containers.containers()


def test_the_command_line(compose: Shop):
    def command(*words: str, code: int = 0) -> str:
        arguments = [sys.executable, "-m", "updater", "container", *words]
        done = subprocess.run(arguments, env=compose.environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    site = ("--site", str(compose.site.path))
    with compose.publisher.serving() as server:
        url = f"{server.url}stable.json"
        command("adopt", url, str(compose.site.path), "--yes", code=2)
        services = ("--service", "web", "--service", "worker")
        assert "1.0.0 runs" in command("adopt", url, str(compose.site.path), *services, "--version", "1.0.0", "--yes")
        compose.release("1.1.0", stop=True)
        compose.release("1.2.0")
        printed = command("update", "--print", *site)
        assert (
            printed.startswith("docker pull ghcr.io/acme/shop@sha256:") and "up --detach --no-build --wait" in printed
        )
        assert compose.answers() == "1.0.0"
        said = command("update", "--yes", *site)
        assert "Done: 1.1.0 runs." in said and "Done: 1.2.0 runs." in said
        assert compose.answers() == "1.2.0"
        assert "1.2.0 is the newest" in command("update", "--yes", *site)
        assert json.loads(command("--json", *site))["previous"]["version"] == "1.1.0"
        assert "Done: 1.1.0 runs." in command("rollback", "--yes", *site)
        assert "nothing to recover" in command("recover", *site)
        assert "way back: 1.2.0" in command(*site)
    done = subprocess.run(
        [sys.executable, "-m", "updater", "update", "--yes", *site],
        env=compose.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6 and "updater container update" in done.stderr
