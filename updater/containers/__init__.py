"""Apps that run as containers: the release is an image by digest, and an update pins another one.

This runs on the machine (or beside the cluster) that starts the containers, never inside of one: what is inside cannot
replace itself. docs/containers.md tells how a site is set up.
"""

from updater.containers.record import Containers, Pinned
from updater.containers.site import ContainerPlan, ContainerSite, adopt

__all__ = ["ContainerPlan", "ContainerSite", "Containers", "Pinned", "adopt"]
