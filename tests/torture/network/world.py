"""A published shop with an update, a site that waits for it, and photographs of both."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.packages import Built, make_package
from tests.support.site_publisher import SitePublisher
from updater import set_up_site
from updater.transport import HTTPTransport, Limits

__all__ = ["OWN", "PATIENT", "QUICK", "STRICT", "World", "photograph", "quick_folder", "use_feed"]

PATIENT = Limits(connect=10, headers=20, total=60, min_rate=1, window=20, grace=20)
QUICK = Limits(connect=2, headers=0.8, total=1.6, min_rate=2000, window=0.8, grace=0.4)
"""For servers that only time ends; everything that does not wait for them still gets done."""

STRICT = Limits(connect=10, headers=20, total=60, min_rate=2000, window=0.8, grace=0.4)
"""For servers that only the minimum rate ends before anyone's patience does."""

OWN = {"media/photo.jpg": b"the owner's", "notes.txt": b"mine\n"}
OLD_FILES = {"manage.py": b"print(1)\n", "shop/a.py": b"A = 1\n", "shop/old.py": b"OLD = 1\n"}


def _new_files() -> dict[str, bytes]:
    picture = random.Random(1).randbytes(200_000)  # as good as incompressible: the package has about this size
    return {"manage.py": b"print(2)\n", "shop/a.py": b"A = 2\n", "shop/static/picture.png": picture}


def quick_folder(otherwise: Path) -> Path:
    """Where many small sites are made quickly: in memory if there is such a place."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else otherwise


@dataclass(frozen=True)
class World:
    """``files`` is what a server serves; ``site`` a template at 1.0.0 that has never heard of 1.1.0."""

    files: Mapping[str, bytes]
    older_files: Mapping[str, bytes]
    publisher: SitePublisher
    old: Built
    new: Built
    site: Path

    @classmethod
    def make(cls, folder: Path) -> World:
        """Publish, and install the old release below ``folder``."""
        publisher = SitePublisher()
        old = make_package(OLD_FILES, version="1.0.0")
        new = make_package(_new_files(), version="1.1.0")
        publisher.publish(old)
        older = publisher.repository.photograph()
        site = folder / "template"
        with publisher.serving() as server, HTTPTransport() as transport:
            set_up_site(server.url + "stable.json", site, transport=transport)
        for name, data in OWN.items():
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_bytes(data)
        publisher.publish(new)
        return cls(publisher.repository.photograph(), older, publisher, old, new, site)

    def served(self) -> dict[str, bytes]:
        """A copy of the files, each also below ``copy/``, where redirects lead."""
        return {**self.files, **{f"copy/{path}": data for path, data in self.files.items()}}

    def copy_site(self, target: Path, url: str) -> Path:
        """A copy of the template that follows the server at ``url``."""
        shutil.copytree(self.site, target, symlinks=True)
        use_feed(target, url)
        return target

    @property
    def package(self) -> str:
        """Path of the new package."""
        return f"packages/{self.new.file_name}"

    @property
    def feed(self) -> str:
        """Path of the feed that lists it, as clients fetch it."""
        present = self.files["stable.json"]
        return f"feeds/{hashlib.sha256(present).hexdigest()}.stable.json"

    def metadata(self, role: str) -> str:
        """Path of the newest metadata of ``role``."""
        return self.publisher.repository.path_of(role)

    def is_new(self, found: Mapping[str, str]) -> bool:
        """Whether a photograph shows the new release and the owner's files, and nothing else."""
        listed = {path: file.sha256 for path, file in self.new.manifest.files.items()}
        own = {path: hashlib.sha256(data).hexdigest() for path, data in OWN.items()}
        return {path: what.partition(" ")[0] for path, what in found.items()} == listed | own


def use_feed(site: Path, url: str) -> None:
    """Let the site follow the stable feed of the server at ``url``."""
    config = site / "updater.toml"
    config.write_text(re.sub(r"url = .*", f'url = "{url}stable.json"', config.read_text(), count=1))


def photograph(folder: Path, *, without: tuple[str, ...] = (".updater", "updater.toml")) -> dict[str, str]:
    """Everything in ``folder`` but the first-level names in ``without``: path to what lies there, and how."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in without:
            continue
        info = path.lstat()
        how = f"{info.st_mode:o} {info.st_uid}:{info.st_gid}"
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)} {how}"
        elif path.is_file():
            found[name] = f"{hashlib.sha256(path.read_bytes()).hexdigest()} {how} {info.st_mtime_ns}"
    return found
