"""Make tests/data/github-openapi.json: the part of GitHub's REST description that the tests validate against.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz package/generated/api.github.com.json
    python tools/slim_openapi.py package/generated/api.github.com.json tests/data/github-openapi.json

Kept are the paths below and every component that they lead to; prose and examples are dropped.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PATHS = (
    r"/rate_limit|/user",
    r"{repo}(/tags)?",
    r"{repo}/actions/(permissions(/workflow)?|secrets(/{secret_name})?|variables)",
    r"{repo}/actions/(runs|workflows)(/.*)?",
    r"{repo}/attestations(/.*)?",
    r"{repo}/branches/{branch}(/protection)?",
    r"{repo}/contents/{path}",
    r"{repo}/environments(/{environment_name})?",
    r"{repo}/environments/{environment_name}/(deployment-branch-policies|secrets|secrets/{secret_name}|variables)",
    r"{repo}/git/(ref/{ref}|refs|refs/{ref}|tags|tags/{tag_sha})",
    r"{repo}/immutable-releases",
    r"{repo}/issues(/{issue_number}(/comments)?)?",
    r"{repo}/labels",
    r"{repo}/pages(/.*)?",
    r"{repo}/releases(/.*)?",
    r"{repo}/rules/branches/{branch}|{repo}/rulesets",
)
"""Regular expressions for whole paths; ``{repo}`` stands for the repository, other braces for themselves."""

PROSE = {"description", "summary", "example", "examples", "externalDocs"}
NAMED = {"properties", "schemas", "parameters", "responses", "headers"}
"""Keys whose own keys are names: a property may well be called ``description``."""


def wanted(path: str) -> bool:
    """Whether a path of the description is kept."""
    return any(re.fullmatch(_expression(pattern), path) for pattern in PATHS)


def _expression(pattern: str) -> str:
    return pattern.replace("{repo}", "/repos/{owner}/{repo}").replace("{", r"\{").replace("}", r"\}")


def without_prose(node: Any, *, names: bool = False) -> Any:
    """A copy without prose, extensions and examples."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_prose(value, names=not names and key in NAMED)
        for key, value in node.items()
        if names or not (key in PROSE or key.startswith("x-"))
    }


def references(node: Any) -> set[tuple[str, str]]:
    """The components that ``node`` mentions, as kind and name."""
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(references, node.values())) if node else set()
    reference = node.get("$ref")
    if isinstance(reference, str):
        _, _, kind, name = reference.split("/")
        found.add((kind, name))
    return found


def slim(whole: dict[str, Any]) -> dict[str, Any]:
    """The part of the description that is kept."""
    paths = {path: without_prose(item) for path, item in whole["paths"].items() if wanted(path)}
    for item in paths.values():
        for operation in item.values():
            for response in operation.get("responses", {}).values():
                if "$ref" not in response:
                    response["description"] = ""  # OpenAPI demands one
    components: dict[str, dict[str, Any]] = {}
    todo = references(paths)
    while todo:
        kind, name = todo.pop()
        if name in components.setdefault(kind, {}):
            continue
        components[kind][name] = without_prose(whole["components"][kind][name])
        todo |= references(components[kind][name])
    return {
        "openapi": whole["openapi"],
        "info": {
            "title": whole["info"]["title"],
            "version": whole["info"]["version"],
            "license": whole["info"]["license"],
        },
        "servers": whole["servers"],
        "paths": dict(sorted(paths.items())),
        "components": {kind: dict(sorted(items.items())) for kind, items in sorted(components.items())},
    }


def main() -> None:
    """Read the whole description, write the slim one."""
    source, target = map(Path, sys.argv[1:])
    text = json.dumps(slim(json.loads(source.read_text(encoding="utf-8"))), separators=(",", ":"), sort_keys=True)
    target.write_text(text + "\n", encoding="utf-8")
    print(f"{target}: {len(text)} bytes")


if __name__ == "__main__":
    main()
