"""``feedgen.toml``: what a maintainer decides (docs/formats.md section 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urlsplit

from updater.frozen import frozen
from updater.schema.document import Reader
from updater.schema.paths import check_path
from updater.schema.release import read_component_ranges
from updater.schema.text import check_digest, check_name, check_url_reference, check_version
from updater.schema.toml import finish_config, read_schema, read_toml

__all__ = ["PUBLISHER_CONFIG_NAME", "DeltaSettings", "PublisherConfig", "check_base_url"]

PUBLISHER_CONFIG_NAME = "feedgen.toml"

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")


def _check_repository(text: str) -> None:
    if not _REPOSITORY.fullmatch(text):
        raise ValueError("must be a repository on GitHub, such as acme/shop")


def check_base_url(text: str) -> None:
    """Raise ValueError unless ``text`` is the absolute URL of a folder that clients would use."""
    check_url_reference(text)
    parts = urlsplit(text)
    if not parts.scheme or not text.endswith("/") or parts.query or parts.fragment:
        raise ValueError("must be an absolute URL of a folder, ending in '/', such as https://acme.github.io/shop/")


@frozen
class DeltaSettings:
    """``[deltas]``: which releases a new one gets deltas from, and what they may cost.

    ``from_last``: so many of each channel; ``from_versions``: these always; ``adoption_percent``: those with that share
    of the downloads (0: none). A delta larger than ``largest_percent`` of the package is not kept. ``budget_seconds``:
    for all deltas of one release.
    """

    from_last: int = 5
    from_versions: tuple[str, ...] = ()
    adoption_percent: int = 5
    largest_percent: int = 70
    budget_seconds: int = 600


@frozen
class PublisherConfig:
    """The whole of ``feedgen.toml``."""

    app: str
    base_url: str
    root_sha256: str | None = None
    component: str = "core"
    directory: str | None = None
    tag_prefix: str = "v"
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    changelog: str = "CHANGELOG.md"
    post_update_commands: tuple[str, ...] = ()
    preserve: tuple[str, ...] = ()
    python: str | None = None
    packages: tuple[str, ...] = ()
    requirements: str | None = None
    wheelhouse: str = ""
    from_version: str | None = None
    components: Mapping[str, str] = field(default_factory=dict, hash=False)
    notes_url: str | None = None
    site: str = ".feedgen/site"
    store_url: str = ""
    grace_days: int = 7
    repository: str | None = None
    mirrors: tuple[str, ...] = ()
    feed_releases: int = 50
    deltas: DeltaSettings = DeltaSettings()

    @classmethod
    def parse(cls, text: str, document: str = PUBLISHER_CONFIG_NAME) -> PublisherConfig:
        """Read and check a maintainer's settings. Raises ConfigError that lists every problem with its line."""
        reader = Reader(read_toml(text, document), document)
        read_schema(reader)
        sections = [reader.section(name) for name in ("app", "build", "release", "publish", "deltas")]
        app, build, release, publish, deltas = sections
        config = cls(
            app=app.text("name", check=check_name),
            component=app.text("component", default="core", check=check_name),
            directory=app.optional_text("directory", check=check_path),
            tag_prefix=app.text("tag_prefix", default="v", empty=True),
            include=build.texts("include") or ("**",),
            exclude=build.texts("exclude"),
            command=build.texts("command"),
            outputs=build.texts("outputs"),
            changelog=release.text("changelog", default="CHANGELOG.md", empty=True),
            post_update_commands=release.texts("post_update_commands"),
            preserve=release.texts("preserve"),
            python=release.optional_text("python"),
            packages=release.texts("packages"),
            requirements=release.optional_text("requirements", check=check_path),
            wheelhouse=release.text("wheelhouse", default="", check=check_path, empty=True),
            from_version=release.optional_text("from", check=check_version),
            components=read_component_ranges(release),
            notes_url=release.optional_text("notes_url", check=check_url_reference),
            base_url=publish.text("base_url", check=check_base_url),
            site=publish.text("site", default=".feedgen/site"),
            root_sha256=publish.optional_text("root_sha256", check=check_digest),
            store_url=publish.text("store_url", default="", empty=True),
            grace_days=publish.integer("grace_days", default=7, maximum=3650),
            repository=publish.optional_text("repository", check=_check_repository),
            mirrors=publish.texts("mirrors", check=check_base_url),
            feed_releases=publish.integer("feed_releases", default=50, minimum=10, maximum=1000),
            deltas=DeltaSettings(
                from_last=deltas.integer("from_last", default=5, maximum=100),
                from_versions=deltas.texts("from", check=check_version),
                adoption_percent=deltas.integer("adoption_percent", default=5, maximum=100),
                largest_percent=deltas.integer("largest_percent", default=70, minimum=1, maximum=100),
                budget_seconds=deltas.integer("budget_seconds", default=600, maximum=86_400),
            ),
        )
        if config.store_url:
            try:
                check_base_url(config.store_url)
            except ValueError as error:
                publish.problem("store_url", str(error))
        if config.component == "core" and config.directory is not None:
            app.problem("directory", "is of a component other than the core, which is everywhere else")
        if config.wheelhouse and config.requirements is None:
            release.problem("wheelhouse", "has no effect without requirements")
        if config.outputs and not config.command:
            build.problem("outputs", "has no effect without a command")
        finish_config(reader, sections, text)
        return config
