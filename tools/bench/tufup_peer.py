"""Run by the peers' own Python: tufup's publisher and client, as its documentation uses them.

``publish HOME VERSION TREE`` adds a release (a patch from the one before included) to the repository in HOME.
``update URL SITE OLD patch|full`` brings SITE/app from OLD to the newest version. ``check`` only asks.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path

NAME = "app"


def publish(home: Path, version: str, tree: Path) -> None:
    """One release. Keys are made on the first call."""
    from tufup.repo import Repository  # type: ignore[import-not-found,unused-ignore]

    home.mkdir(parents=True, exist_ok=True)
    os.chdir(home)  # it keeps its settings in the working directory
    if Path(Repository.config_filename).exists():
        repository = Repository.from_config()
    else:
        repository = Repository(app_name=NAME, repo_dir="repository", keys_dir="keys")
        repository.save_config()
        repository.initialize()
    repository.add_bundle(new_bundle_dir=tree, new_version=version)
    repository.publish_changes(private_key_dirs=[home / "keys"])


def update(url: str, site: Path, version: str, how: str) -> None:
    """Check, and unless ``how`` is ``check``, download, apply and copy over the installed files."""
    from tufup.client import Client  # type: ignore[import-not-found,unused-ignore]

    client = Client(
        app_name=NAME,
        app_install_dir=site / "app",
        current_version=version,
        metadata_dir=site / "metadata",
        metadata_base_url=f"{url}metadata/",
        target_dir=site / "targets",
        target_base_url=f"{url}targets/",
        extract_dir=site / "extracted",
        refresh_required=True,
    )
    found = client.check_for_updates(patch=how != "full")
    if how == "check":
        return
    if found is None:
        raise SystemExit("tufup found no update")
    if how == "patch" and not all(target.is_patch for target in client.new_targets):
        raise SystemExit("tufup chose the full archive")
    client.download_and_apply_update(skip_confirmation=True, install=_install)


def _install(src_dir: Path, dst_dir: Path, **_: object) -> None:
    """What its scripts for Windows and macOS do: everything is moved over the installed files."""
    for folder, _folders, names in os.walk(src_dir):
        target = Path(dst_dir, Path(folder).relative_to(src_dir))
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(Path(folder, name), target / name)
    shutil.rmtree(src_dir)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    command, *words = sys.argv[1:]
    if command == "publish":
        publish(Path(words[0]), words[1], Path(words[2]))
    else:
        update(words[0], Path(words[1]), words[2], words[3])
