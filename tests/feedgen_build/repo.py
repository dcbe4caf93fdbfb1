"""A git repository to build from, deaf to the settings of the machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from feedgen.build import BuiltRelease, build_release
from updater.schema import PublisherConfig

BASE = '[app]\nname = "shop"\n{app}[build]\n{build}[release]\n{release}[publish]\nbase_url = "https://acme.example/"\n'
DATE = "2026-01-20T10:00:01+02:00"


def config(*, app: str = "", build: str = "", release: str = "") -> PublisherConfig:
    return PublisherConfig.parse(config_text(app=app, build=build, release=release))


def config_text(*, app: str = "", build: str = "", release: str = "") -> str:
    return BASE.format(app=app and app + "\n", build=build and build + "\n", release=release and release + "\n")


class Repo:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--template=", "--object-format=sha1", "--initial-branch=main")

    def git(self, *arguments: str, data: bytes | None = None, date: str = DATE) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        for role, moment in (("AUTHOR", "2001-01-01T00:00:00+00:00"), ("COMMITTER", date)):
            environment |= {f"GIT_{role}_NAME": "A", f"GIT_{role}_EMAIL": "a@acme.example", f"GIT_{role}_DATE": moment}
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], input=data, capture_output=True, check=True, env=environment
        )
        return done.stdout.decode().strip()

    def put(self, files: Mapping[str, bytes | str | None], *, executable: tuple[str, ...] = ()) -> None:
        """Stage files through the index alone: text, bytes, ``-> target`` for a symlink, None to remove."""
        for path, content in files.items():
            if content is None:
                self.git("update-index", "--force-remove", path)
                continue
            link = isinstance(content, str) and content.startswith("-> ")
            text = content.removeprefix("-> ") if isinstance(content, str) else content
            data = text.encode() if isinstance(text, str) else text
            blob = self.git("hash-object", "-w", "--stdin", data=data)
            mode = "120000" if link else "100755" if path in executable else "100644"
            self.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")

    def commit(self, date: str = DATE) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message=x", date=date)
        return self.git("rev-parse", "HEAD")

    def release(
        self,
        tag: str,
        files: Mapping[str, bytes | str | None],
        *,
        executable: tuple[str, ...] = (),
        annotated: bool = False,
        date: str = DATE,
    ) -> str:
        self.put(files, executable=executable)
        commit = self.commit(date)
        message = ("--annotate", "--message=x") if annotated else ()
        self.git("tag", *message, tag, date="2030-01-01T00:00:00+00:00")
        return commit

    def build(self, tag: str, output: Path, settings: PublisherConfig | None = None) -> BuiltRelease:
        return build_release(self.path, tag, output, settings or config())


SMALL: Mapping[str, bytes | str | None] = {
    "manage.py": "#!/usr/bin/env python3\nprint('shop')\n",
    "catalog/__init__.py": "",
    "catalog/models.py": "PRICE = 1\n" * 200,
    "catalog/templates/list.html": "<ul>{% for p in products %}<li>{{ p }}</li>{% endfor %}</ul>\r\n" * 20,
    "static/\u00e9t\u00e9.css": "body{}\n",
    "static/noise.bin": bytes(range(256)),
    "docs/latest": "-> 1.1",
    "docs/1.1/index.md": "# Docs\n",
    "CHANGELOG.md": "# Changelog\n\n## [1.0.0] - 2026-01-20\n\n- First\n",
}


def small(path: Path) -> Repo:
    repo = Repo(path)
    repo.release("v1.0.0", SMALL, executable=("manage.py",))
    return repo
