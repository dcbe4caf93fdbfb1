"""From a git tag to a package: the same tag gives the same bytes, on any machine (docs/formats.md sections 3 to 5)."""

from feedgen.build.builder import BuiltRelease, build_release, index_name, package_name
from feedgen.build.reproducible import build_checked
from feedgen.build.settings import config_at_tag
from feedgen.build.zip_writer import Member, PackageLayout, write_package

__all__ = [
    "BuiltRelease",
    "Member",
    "PackageLayout",
    "build_checked",
    "build_release",
    "config_at_tag",
    "index_name",
    "package_name",
    "write_package",
]
