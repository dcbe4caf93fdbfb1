"""``updater.toml``: what a site's owner decides (docs/formats.md section 7). Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from itertools import pairwise
from typing import Literal, cast

from updater.frozen import frozen
from updater.schema.container_config import ContainerConfig, read_container
from updater.schema.document import Reader
from updater.schema.layers import Settings, merged
from updater.schema.paths import check_path, collision_key
from updater.schema.policy_config import OwnerPolicy, check_specifier, read_policy
from updater.schema.python_config import PythonConfig, read_python
from updater.schema.text import CORE, check_name, check_url_reference, check_version
from updater.schema.toml import finish_config, read_schema

__all__ = [
    "CONFIG_NAME",
    "SECTIONS",
    "AlertConfig",
    "BackupConfig",
    "CommandsConfig",
    "ComponentConfig",
    "DatabaseConfig",
    "DatabaseKind",
    "DownloadConfig",
    "EditedPolicy",
    "FleetConfig",
    "HealthConfig",
    "HooksConfig",
    "MaintenanceConfig",
    "OverridePolicy",
    "ReportConfig",
    "RestartConfig",
    "SiteConfig",
]

CONFIG_NAME = "updater.toml"
EditedPolicy = Literal["overwrite", "keep", "stop"]
DatabaseKind = Literal["none", "sqlite", "postgresql", "command"]
OverridePolicy = Literal["refuse", "allow"]
NodeRole = Literal["single", "lead", "follow"]
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECTIONS = (
    *("feed", "policy", "backup", "database", "commands", "restart", "health", "alert"),
    *("maintenance", "download", "hooks", "report", "fleet", "components", "container", "python"),
)
_SIGNALS = ("HUP", "USR1", "USR2", "TERM", "INT")


@frozen
class BackupConfig:
    """How many restore points are kept, and for how many days; 0: no limit. The last good one always stays."""

    max_backups: int = 5
    max_age_days: int = 0


@frozen
class DatabaseConfig:
    """Where the app's data lives. ``path`` starts at the app's files; commands hold ``{file}``; timeout in seconds.

    ``path_env`` names the environment variable from which the app itself takes ``path``, if it does.
    """

    kind: DatabaseKind = "none"
    path: str = ""
    path_env: str = ""
    url: str = ""
    url_env: str = ""
    backup: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    timeout: float = 3600.0


@frozen
class CommandsConfig:
    """How a manifest's commands run: ``runner`` before each, first words in ``allow`` only; timeout in seconds.
    ``elsewhere``: first words that the leading server runs, and this one does not."""

    runner: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    timeout: float = 1800.0
    env: Mapping[str, str] = field(default_factory=dict)


@frozen
class RestartConfig:
    """How the app is stopped before and restarted after files change; empty members are skipped. Seconds."""

    stop: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    touch: str = ""
    signal: str = ""
    pidfile: str = ""
    timeout: float = 120.0


@frozen
class HealthConfig:
    """How to tell that the new version runs; empty members are skipped. Times in seconds.

    ``answers``: good answers in a row that are needed. ``workers``: so many workers, told apart by ``worker_key`` of
    their answers, must each have given as many; 0 when they are not told apart.

    ``check`` runs with the new code before anything is restarted onto it; ``probation`` is how long a release is
    watched after it was committed, with traffic on (0: not at all).
    """

    check: tuple[str, ...] = ()
    url: str = ""
    version_key: str = "version"
    command: tuple[str, ...] = ()
    timeout: float = 60.0
    interval: float = 1.0
    probation: float = 0.0
    answers: int = 3
    workers: int = 0
    worker_key: str = ""


@frozen
class AlertConfig:
    """The program that is told when a person should know; it gets ``UPDATER_…`` variables. Timeout in seconds."""

    command: tuple[str, ...] = ()
    timeout: float = 60.0


@frozen
class MaintenanceConfig:
    """The page that visitors see during an update: the flag ``file`` that turns it on (empty: there is none)."""

    file: str = ""
    minutes: float = 30.0
    message: str = ""


@frozen
class DownloadConfig:
    """How files are fetched: seconds for one update in total, bytes per second at the least (of each transfer) and at
    the most (of all together; 0: no limit), connections at a time, and base URLs where files are looked for first."""

    deadline: float = 7200.0
    min_rate: float = 1024.0
    rate_limit: float = 0.0
    connections: int = 4
    mirrors: tuple[str, ...] = ()


@frozen
class HooksConfig:
    """The owner's own commands in an update, which may veto it: ``before`` anything changes, and ``after`` the new
    version has answered but before it is committed. Timeout in seconds."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    timeout: float = 600.0


@frozen
class ReportConfig:
    """What monitoring sees; empty members: nothing. ``metrics``: a file for Prometheus' node exporter. ``ping``: a URL
    that is told how scheduled runs go. ``adoption``: a URL of the maintainer's that is asked for once a week, so that
    its log tells which versions run; nothing names the site."""

    metrics: str = ""
    ping: str = ""
    adoption: str = ""


@frozen
class FleetConfig:
    """Several servers on one database: one leads, and changes it; the others follow, with code only.

    ``lead_only``: first words of commands that only the leading one runs. ``migrated``: a command that ends with 0
    once the database is ready for the code it runs with; one that follows waits for it, at most ``wait`` seconds. So
    long the one that leads waits for another that does.
    """

    role: NodeRole = "single"
    lead_only: tuple[str, ...] = ("migrate",)
    migrated: tuple[str, ...] = ()
    wait: float = 300.0


@frozen
class ComponentConfig:
    """One plugin or theme: its feed, and its folder below the app's files. ``pin`` and ``skip`` are its own; the rest
    of the owner's policy is the site's. One that is not ``enabled`` has no files on the site."""

    feed_url: str
    directory: str
    enabled: bool = True
    pin: str = ""
    skip: tuple[str, ...] = ()


@frozen
class SiteConfig:
    """The whole of ``updater.toml``. ``overridden``: the dotted keys that are set elsewhere, and where."""

    feed_url: str
    app: str | None = None
    edited: EditedPolicy = "overwrite"
    managed: OverridePolicy = "refuse"
    running: OverridePolicy = "refuse"
    policy: OwnerPolicy = field(default_factory=OwnerPolicy)
    backup: BackupConfig = BackupConfig()
    database: DatabaseConfig = DatabaseConfig()
    commands: CommandsConfig = CommandsConfig()
    restart: RestartConfig = RestartConfig()
    health: HealthConfig = HealthConfig()
    alert: AlertConfig = AlertConfig()
    maintenance: MaintenanceConfig = MaintenanceConfig()
    download: DownloadConfig = DownloadConfig()
    hooks: HooksConfig = HooksConfig()
    report: ReportConfig = ReportConfig()
    fleet: FleetConfig = FleetConfig()
    container: ContainerConfig = field(default_factory=ContainerConfig)
    python: PythonConfig = field(default_factory=PythonConfig)
    components: Mapping[str, ComponentConfig] = field(default_factory=dict, hash=False)
    overridden: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, text: str, document: str = CONFIG_NAME) -> SiteConfig:
        """Read and check one file alone. Raises ConfigError that lists every problem with its line."""
        return cls.of(Settings(text), document)

    @classmethod
    def of(cls, settings: Settings, document: str = CONFIG_NAME) -> SiteConfig:
        """Read and check a site's settings, wherever they stand. Raises ConfigError that lists every problem."""
        table, origins = merged(settings, document, SECTIONS)
        reader = Reader(table, document)
        read_schema(reader)
        sections = {name: reader.section(name) for name in SECTIONS}
        feed, policy = sections["feed"], sections["policy"]
        parts = _component_sections(sections["components"])
        config = cls(
            feed_url=feed.text("url", check=_check_feed_url),
            app=feed.optional_text("app", check=check_name),
            edited=cast(EditedPolicy, policy.choice("edited", ("overwrite", "keep", "stop"), default="overwrite")),
            managed=cast(OverridePolicy, policy.choice("managed", ("refuse", "allow"), default="refuse")),
            running=cast(OverridePolicy, policy.choice("running", ("refuse", "allow"), default="refuse")),
            policy=read_policy(policy),
            backup=BackupConfig(
                max_backups=sections["backup"].integer("max_backups", default=5, minimum=0, maximum=10_000),
                max_age_days=sections["backup"].integer("max_age_days", default=0, minimum=0, maximum=100_000),
            ),
            database=_read_database(sections["database"]),
            commands=_read_commands(sections["commands"]),
            restart=_read_restart(sections["restart"]),
            health=_read_health(sections["health"]),
            alert=AlertConfig(
                command=sections["alert"].texts("command"),
                timeout=sections["alert"].number("timeout", default=60.0, minimum=1),
            ),
            maintenance=_read_maintenance(sections["maintenance"]),
            download=_read_download(sections["download"]),
            hooks=HooksConfig(
                before=sections["hooks"].texts("before"),
                after=sections["hooks"].texts("after"),
                timeout=sections["hooks"].number("timeout", default=600.0, minimum=1),
            ),
            report=_read_report(sections["report"]),
            fleet=_read_fleet(sections["fleet"]),
            container=read_container(sections["container"]),
            python=read_python(sections["python"]),
            components={name: _read_component(part) for name, part in parts.items()},
            overridden=origins,
        )
        if config.fleet.role == "lead" and config.database.kind != "postgresql":
            sections["fleet"].problem("role", "leads by a lock in the database: [database] kind must be postgresql")
        _refuse_overlaps(config.components, sections["components"])
        finish_config(reader, [*sections.values(), *parts.values()], settings.text, origins)
        return config._following() if config.fleet.role == "follow" else config

    def _following(self) -> SiteConfig:
        """The same for a server that follows: the database is nothing of its own."""
        commands = replace(self.commands, elsewhere=self.fleet.lead_only)
        return replace(self, database=DatabaseConfig(), commands=commands)


def _check_feed_url(text: str) -> None:
    check_url_reference(text)
    if "://" not in text:
        raise ValueError("must be an absolute URL, such as https://acme.github.io/shop/stable.json")


def _read_database(section: Reader) -> DatabaseConfig:
    kind = cast(DatabaseKind, section.choice("kind", ("none", "sqlite", "postgresql", "command"), default="none"))
    config = DatabaseConfig(
        kind=kind,
        path=section.text("path", default=""),
        path_env=section.text("path_env", default="", empty=True),
        url=section.text("url", default="", empty=True),
        url_env=section.text("url_env", default="", empty=True),
        backup=section.texts("backup"),
        restore=section.texts("restore"),
        timeout=section.number("timeout", default=3600.0, minimum=1),
    )
    if kind == "sqlite" and not config.path:
        section.problem("path", 'is missing: kind = "sqlite" needs the database file')
    if kind == "postgresql" and not (config.url or config.url_env):
        section.problem("url_env", 'is missing: kind = "postgresql" needs url_env or url')
    if kind == "command":
        for key, argv in (("backup", config.backup), ("restore", config.restore)):
            if not any("{file}" in word for word in argv):
                section.problem(key, 'kind = "command" needs a list of words, one of which holds {file}')
    return config


def _read_commands(section: Reader) -> CommandsConfig:
    env = section.text_map("env")
    for name in env:
        if not _ENV_NAME.fullmatch(name):
            section.problem(f"env.{name}", f"{name!r} cannot be the name of an environment variable")
    return CommandsConfig(
        runner=section.texts("runner"),
        allow=section.texts("allow"),
        timeout=section.number("timeout", default=1800.0, minimum=1),
        env=env,
    )


def _read_restart(section: Reader) -> RestartConfig:
    config = RestartConfig(
        stop=section.texts("stop"),
        command=section.texts("command"),
        touch=section.text("touch", default="", empty=True),
        signal=section.choice("signal", _SIGNALS, default=""),
        pidfile=section.text("pidfile", default="", empty=True),
        timeout=section.number("timeout", default=120.0, minimum=1),
    )
    if bool(config.signal) != bool(config.pidfile):
        missing = "pidfile" if config.signal else "signal"
        section.problem(missing, "is missing: signal and pidfile go together")
    return config


def _read_health(section: Reader) -> HealthConfig:
    def check_url(text: str) -> None:
        if not text.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")

    config = HealthConfig(
        check=section.texts("check"),
        url=section.text("url", default="", check=check_url, empty=True),
        version_key=section.text("version_key", default="version", empty=True),
        command=section.texts("command"),
        timeout=section.number("timeout", default=60.0, minimum=0.1),
        interval=section.number("interval", default=1.0, minimum=0.01),
        probation=section.number("probation", default=0.0),
        answers=section.integer("answers", default=3, minimum=1, maximum=1000),
        workers=section.integer("workers", default=0, maximum=1000),
        worker_key=section.text("worker_key", default="", empty=True),
    )
    for key, value in (("worker_key", config.worker_key), ("url", config.url)):
        if config.workers and not value:
            section.problem(
                key, "is missing: workers are told apart by what they answer, so url and worker_key are needed"
            )
    return config


def _read_download(section: Reader) -> DownloadConfig:
    def check_mirror(text: str) -> None:
        check_url_reference(text)
        if "://" not in text:
            raise ValueError("must be an absolute URL, such as https://mirror.example/shop/")

    return DownloadConfig(
        deadline=section.number("deadline", default=7200.0, minimum=1),
        min_rate=section.number("min_rate", default=1024.0),
        rate_limit=section.number("rate_limit", default=0.0),
        connections=section.integer("connections", default=4, minimum=1, maximum=16),
        mirrors=section.texts("mirrors", check=check_mirror),
    )


def _read_report(section: Reader) -> ReportConfig:
    def check_metrics(text: str) -> None:
        if not text.endswith(".prom"):
            raise ValueError("must end in .prom, or the node exporter passes it over")

    def check_absolute(text: str) -> None:
        check_url_reference(text)
        if "://" not in text:
            raise ValueError("must be an absolute URL, such as https://hc-ping.com/…")

    return ReportConfig(
        metrics=section.text("metrics", default="", check=check_metrics, empty=True),
        ping=section.text("ping", default="", check=check_absolute, empty=True),
        adoption=section.text("adoption", default="", check=check_absolute, empty=True),
    )


def _read_fleet(section: Reader) -> FleetConfig:
    named = section.texts("lead_only")
    return FleetConfig(
        role=cast(NodeRole, section.choice("role", ("single", "lead", "follow"), default="single")),
        lead_only=named or FleetConfig.lead_only,
        migrated=section.texts("migrated"),
        wait=section.number("wait", default=300.0, minimum=1),
    )


def _component_sections(section: Reader) -> dict[str, Reader]:
    """The table of each component, by name."""

    def check(name: str) -> None:
        check_name(name)
        if name == CORE:
            raise ValueError("the core is what [feed] says")

    names = section.keys(check=check)
    return {name: part for name in names if (part := section.child(name)) is not None}


def _read_component(section: Reader) -> ComponentConfig:
    return ComponentConfig(
        feed_url=section.text("feed", check=_check_feed_url),
        directory=section.text("directory", check=check_path),
        enabled=section.flag("enabled", default=True),
        pin=section.text("pin", default="", check=check_specifier, empty=True),
        skip=section.texts("skip", check=check_version),
    )


def _refuse_overlaps(components: Mapping[str, ComponentConfig], section: Reader) -> None:
    """What lies in one component's folder is that component's alone."""
    places = sorted((collision_key(part.directory) + "/", name) for name, part in components.items())
    for (outer, first), (inner, second) in pairwise(places):
        if inner.startswith(outer):
            section.problem(f"{second}.directory", f"lies in the folder of {first}, or is the same")


def _read_maintenance(section: Reader) -> MaintenanceConfig:
    def check_file(text: str) -> None:
        first = text.partition("/")[0]
        if text.endswith("/") or text.rpartition("/")[2] in (".", ".."):
            raise ValueError("must name a file, not a folder")
        if first == ".updater":
            raise ValueError("must not lie in .updater/, which the web server may not read")
        if text == CONFIG_NAME:
            raise ValueError(f"must not be {CONFIG_NAME} itself")

    return MaintenanceConfig(
        file=section.text("file", default="", check=check_file, empty=True),
        minutes=section.number("minutes", default=30.0, minimum=1),
        message=section.text("message", default="", empty=True),
    )
