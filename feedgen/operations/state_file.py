"""``releases/<version>.toml``: the decisions about one release as a file that people review and may edit (section 8.1).

Text that is written here and read again gives the same decisions. Comments other than the first lines are not kept.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from feedgen.operations.state import ReleaseState
from updater.schema import CHANNELS, format_time
from updater.schema.document import Reader
from updater.schema.feed import MAX_COHORT, Notes, Requires, Rollout, RolloutStep, Yank
from updater.schema.release import read_component_ranges
from updater.schema.text import check_id, check_url_reference, check_version
from updater.schema.toml import finish_config, read_toml

__all__ = ["STATE_FOLDER", "check_language", "read_state", "state_path", "state_text"]

STATE_FOLDER = "releases"
_HEADER = """\
# What is decided about release {version}; its bytes are not up for decision.
# After an edit: 'feedgen diff' shows what would change for sites, 'feedgen apply' publishes it.
"""
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_QUOTES = re.compile(r'"{3,}|"+\Z')
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def state_path(version: str) -> str:
    """Where the file of a release lies, relative to the site."""
    return f"{STATE_FOLDER}/{version}.toml"


def check_language(text: str) -> None:
    """Raise ValueError unless ``text`` can be a language tag."""
    if not _LANGUAGE.fullmatch(text):
        raise ValueError(f"{text!r} is not a language tag, such as de or pt-BR")


def read_state(text: str, document: str, version: str, *, published_in: str | None = None) -> ReleaseState:
    """Read and check a file. ``published_in`` is the most settled channel that lists the release already.

    Raises ``updater.errors.ConfigError`` with the line and key of every problem.
    """
    reader = Reader(read_toml(text, document), document)
    reader.schema(default="1.0")
    if (said := reader.text("version", check=check_version)) and said != version:
        reader.problem("version", f"is {said}, but the file is named after {version}")
    yanked, rollout = reader.child("yanked", required=False), reader.child("rollout", required=False)
    requires, notes = reader.section("requires"), reader.section("notes")
    steps = [] if rollout is None else list(rollout.children("steps", required=True))
    state = ReleaseState(
        channel=reader.choice("channel", CHANNELS),
        critical=reader.flag("critical", default=False),
        security=reader.texts("security"),
        stop=reader.flag("stop", default=False),
        halted=reader.flag("halted", default=False),
        halted_at=reader.optional_time("halted_at"),
        yanked=None if yanked is None else Yank(yanked.text("reason", empty=True), yanked.optional_time("at")),
        rollout=None if rollout is None else _rollout(rollout, steps, version),
        cohorts=reader.pairs("cohorts", maximum=MAX_COHORT),
        experiment=reader.optional_text("experiment", check=check_id),
        requires=_requires(requires, version),
        notes=Notes(
            markdown=notes.text("markdown", default="", empty=True),
            url=notes.optional_text("url", check=check_url_reference),
            translations=notes.text_map("translations"),
        ),
    )
    for language in state.notes.translations:
        try:
            check_language(language)
        except ValueError as error:
            notes.problem("translations", str(error))
    if published_in is not None and state.channel in CHANNELS[CHANNELS.index(published_in) + 1 :]:
        reader.problem("channel", f"sites have seen it in {published_in}, which it cannot leave; withdraw it instead")
    if state.halted_at is not None and not state.halted:
        reader.problem("halted_at", "stands there although the release is not halted")
    children = [child for child in (yanked, rollout, requires, notes) if child is not None]
    finish_config(reader, [*children, *steps], text)
    return state


def state_text(version: str, state: ReleaseState) -> str:
    """The file of a release."""
    lines = [
        _HEADER.format(version=version),
        'schema = "1.0"',
        f"version = {_string(version)}",
        f"channel = {_string(state.channel)}",
        f"critical = {_flag(value=state.critical)}",
        f"stop = {_flag(value=state.stop)}",
        f"halted = {_flag(value=state.halted)}",
    ]
    if state.halted and state.halted_at is not None:
        lines.append(f"halted_at = {_string(format_time(state.halted_at))}")
    lines.append(f"security = {_list(state.security)}")
    if state.cohorts is not None:
        lines.append(f"cohorts = {[list(pair) for pair in state.cohorts]}")
    if state.experiment is not None:
        lines.append(f"experiment = {_string(state.experiment)}")
    if state.yanked is not None:
        lines += ["", "[yanked]", f"reason = {_string(state.yanked.reason)}"]
        if state.yanked.at is not None:
            lines.append(f"at = {_string(format_time(state.yanked.at))}")
    if state.rollout is not None:
        lines += ["", "[rollout]", f"salt = {_string(state.rollout.salt)}", "steps = ["]
        lines += [f"  {{at = {_string(format_time(s.at))}, percent = {s.percent}}}," for s in state.rollout.steps]
        lines.append("]")
        lines += ["critical_at_once = true"] if state.rollout.critical_at_once else []
    lines += _requires_lines(state.requires)
    lines += _notes_lines(state.notes)
    return "\n".join(lines) + "\n"


def _rollout(rollout: Reader, steps: list[Reader], version: str) -> Rollout:
    salt, at_once = rollout.text("salt", default=version), rollout.flag("critical_at_once", default=False)
    return Rollout(salt, _steps(rollout, steps), at_once)


def _steps(rollout: Reader, readers: list[Reader]) -> tuple[RolloutStep, ...]:
    steps = tuple(RolloutStep(child.time("at"), child.integer("percent", maximum=100)) for child in readers)
    if any(later.at <= earlier.at for earlier, later in pairwise(steps)):
        rollout.problem("steps", "times must rise")
    if any(later.percent < earlier.percent for earlier, later in pairwise(steps)):
        rollout.problem("steps", "percentages must not fall: sites that have the release keep it")
    return steps


def _requires(reader: Reader, version: str) -> Requires:
    def check_python(text: str) -> None:
        try:
            SpecifierSet(text)
        except InvalidSpecifier:
            raise ValueError(f"{text!r} is not a version specifier, such as >=3.11") from None

    def check_from(text: str) -> None:
        check_version(text)
        if Version(text) > Version(version):
            raise ValueError(f"is {text}, which is newer than the release itself")

    return Requires(
        python=reader.optional_text("python", check=check_python),
        packages=reader.texts("packages"),
        from_version=reader.optional_text("from", check=check_from),
        components=_component_ranges(reader),
    )


def _component_ranges(reader: Reader) -> dict[str, str]:
    found = read_component_ranges(reader)
    for name, specifier in found.items():
        try:
            SpecifierSet(specifier)
        except InvalidSpecifier:
            reader.problem(f"components.{name}", f"{specifier!r} is not a version specifier, such as >=1.4,<2")
    return found


def _requires_lines(requires: Requires) -> list[str]:
    lines = []
    if requires.python is not None:
        lines.append(f"python = {_string(requires.python)}")
    if requires.packages:
        lines.append(f"packages = {_list(requires.packages)}")
    if requires.from_version is not None:
        lines.append(f"from = {_string(requires.from_version)}")
    if requires.components:
        ranges = (f"{_string(name)} = {_string(text)}" for name, text in sorted(requires.components.items()))
        lines.append(f"components = {{{', '.join(ranges)}}}")
    return ["", "[requires]", *lines] if lines else []


def _notes_lines(notes: Notes) -> list[str]:
    lines = []
    if notes.url is not None:
        lines.append(f"url = {_string(notes.url)}")
    if notes.markdown:
        lines.append(f"markdown = {_text(notes.markdown)}")
    if lines:
        lines = ["", "[notes]", *lines]
    if notes.translations:
        lines += ["", "[notes.translations]"]
        lines += [f"{_string(language)} = {_text(text)}" for language, text in sorted(notes.translations.items())]
    return lines


def _flag(*, value: bool) -> str:
    return "true" if value else "false"


def _list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(_string(value) for value in values) + "]"


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _text(text: str) -> str:
    """A text of several lines as a multi-line string, so that a review shows the lines that changed."""
    if "\n" not in text:
        return _string(text)
    escaped = _QUOTES.sub(lambda found: '\\"' * len(found[0]), text.replace("\\", "\\\\"))
    escaped = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
    return f'"""\n{escaped}"""'
