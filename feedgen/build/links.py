"""Where a symlink of a tree leads, following other links of the tree as a kernel would."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LinkError", "resolve"]

_MAX_FOLLOWED = 40  # what Linux follows before it gives up (ELOOP)


class LinkError(ValueError):
    """A symlink that a package must not hold; the message is a sentence that names it."""


def resolve(path: str, links: Mapping[str, str]) -> str:
    """The path, inside the tree, that the link at ``path`` ends at; empty for the tree itself.

    ``links`` maps the path of every symlink to its target. Raises LinkError when following leaves the tree or does
    not end. Checking a target by its text alone is not enough: ``a/b/..`` is elsewhere when ``b`` is a link.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    followed = 0
    while todo:
        segment = todo.pop()
        if segment in ("", "."):
            continue
        if segment == "..":
            if not done:
                raise LinkError(f"{path!r} links to {links[path]!r}, which leaves the tree through another link")
            done.pop()
            continue
        done.append(segment)
        target = links.get("/".join(done))
        if target is None:
            continue
        followed += 1
        if followed > _MAX_FOLLOWED:
            raise LinkError(f"{path!r} links to {links[path]!r}, which leads in a circle")
        if target.startswith("/"):
            raise LinkError(f"{path!r} links to {links[path]!r}, which leaves the tree through another link")
        done.pop()
        todo.extend(target.split("/")[::-1])
    return "/".join(done)
