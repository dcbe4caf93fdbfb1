"""How a site gets a release, in as few bytes as there is a way to (docs/downloads.md).

`prepare` decides where the bytes come from, `obtain` gets them: content that is on the site already, deltas, byte
ranges out of the package, the whole package. Every way ends with the same: a manifest with the signed digest, and files
with the digests that it lists.
"""

from updater.acquire.acquisition import obtain, prepare
from updater.acquire.addresses import addresses_of
from updater.acquire.job import Job
from updater.acquire.obtaining import Obtained
from updater.acquire.preparing import Prepared
from updater.acquire.sources import SourceOption
from updater.acquire.together import changes_together, obtain_together, whole_manifest
from updater.acquire.whole import PackageSource, download_package, open_package, package_path

__all__ = [
    "Job",
    "Obtained",
    "PackageSource",
    "Prepared",
    "SourceOption",
    "addresses_of",
    "changes_together",
    "download_package",
    "obtain",
    "obtain_together",
    "open_package",
    "package_path",
    "prepare",
    "whole_manifest",
]
