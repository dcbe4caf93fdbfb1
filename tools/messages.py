"""The translations of the Django app: gather what is to be translated, and compile what was.

    python -m tools.messages            gather into locale/*/LC_MESSAGES/django.po (needs GNU gettext), then compile
    python -m tools.messages compile    django.po to django.mo: the same bytes on every machine

The compiler is our own because the .mo files are kept in the repository: those of msgfmt differ between its versions.
"""

from __future__ import annotations

import ast
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).resolve().parents[1] / "updater" / "contrib" / "django"
_MAGIC = 0x950412DE
_DATES = re.compile(
    r'^"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Report-Msgid-Bugs-To):.*\n', re.M
)


def catalogs() -> list[Path]:
    """Every translation that there is."""
    return sorted(APP.glob("locale/*/LC_MESSAGES/django.po"))


def gather(app: Path = APP) -> None:
    """Bring the .po files of ``app`` up to date with its sources. Raises CalledProcessError."""
    for path in sorted(app.glob("locale/*")):
        command = [sys.executable, "-m", "django", "makemessages", "--no-wrap", "--no-location", "--locale", path.name]
        subprocess.run(command, cwd=app, check=True, stdout=subprocess.DEVNULL)
        catalog = path / "LC_MESSAGES" / "django.po"
        text = catalog.read_text(encoding="utf-8")
        catalog.write_text(_DATES.sub("", text), encoding="utf-8")  # what changes without anything having changed


def fresh_catalog(language: str) -> dict[str, str]:
    """What gathering would make of a translation now, without changing it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "app"
        shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("__pycache__"))
        gather(copy)
        return read_catalog((copy / "locale" / language / "LC_MESSAGES" / "django.po").read_text(encoding="utf-8"))


def read_catalog(text: str) -> dict[str, str]:
    """The messages of a .po file as a .mo file has them: context, plural and translations joined. Fuzzy ones are left
    out; "" is the header."""
    messages = {}
    for entry in _entries(text):
        if "fuzzy" in entry.get("flags", "") or "msgid" not in entry:
            continue
        key = entry["msgid"]
        if "msgid_plural" in entry:
            key += "\0" + entry["msgid_plural"]
        if "msgctxt" in entry:
            key = entry["msgctxt"] + "\x04" + key
        plurals = [entry[name] for name in sorted(entry) if name.startswith("msgstr[")]
        messages[key] = "\0".join(plurals) if plurals else entry.get("msgstr", "")
    return messages


def _entries(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        entry: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#,"):
                entry["flags"] = line
            elif line.startswith("#") or not line.strip():
                continue
            elif line.startswith('"'):
                entry[key] += ast.literal_eval(line)
            else:
                key, _, value = line.partition(" ")
                entry[key] = ast.literal_eval(value)
        if entry:
            yield entry


def compiled(text: str) -> bytes:
    """A .mo file (GNU gettext manual, "The Format of GNU MO Files"), without the optional hash table."""
    messages = {key: value for key, value in read_catalog(text).items() if value.strip("\0")}
    pairs = sorted((key.encode(), value.encode()) for key, value in messages.items())
    start = 28 + 16 * len(pairs)
    ids, strings, data = b"", b"", b""
    for key, _ in pairs:
        ids += struct.pack("<II", len(key), start + len(data))
        data += key + b"\0"
    for _, value in pairs:
        strings += struct.pack("<II", len(value), start + len(data))
        data += value + b"\0"
    header = struct.pack("<7I", _MAGIC, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start)
    return header + ids + strings + data


def main(words: list[str]) -> None:
    if words != ["compile"]:
        gather()
    for path in catalogs():
        text = path.read_text(encoding="utf-8")
        path.with_suffix(".mo").write_bytes(compiled(text))
        missing = [key for key, value in read_catalog(text).items() if not value]
        print(f"{path.parent.parent.name}: {len(read_catalog(text)) - 1} messages, {len(missing)} not translated")


if __name__ == "__main__":
    main(sys.argv[1:])
