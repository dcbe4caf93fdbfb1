"""How many rows the tables of a PostgreSQL dump have, from the text that pg_restore makes of it: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["COUNTED", "count_query", "count_rows", "read_counts"]

_NAME = r'(?:"(?:[^"]|"")*"|[^\s".(]+)'
_COPY = re.compile(rf"COPY ({_NAME}\.{_NAME}) .*FROM stdin;\n".encode())
_END = b"\\.\n"
_EVERY = 4096
"""Lines between two looks at the clock."""

COUNTED = """
SELECT 'tagship:' || format('%I.%I', nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""
"""The tables whose data a dump holds, each on a line and quoted as there. Partitions count, their parent not."""


def count_rows(lines: Iterable[bytes], check: Callable[[], None]) -> dict[str, int]:
    """Rows by table (``schema.table``, quoted where PostgreSQL quotes) in the COPY sections of a script.

    ``check`` is called now and then; what it raises ends the count.
    """
    found: dict[str, int] = {}
    table: str | None = None
    for number, line in enumerate(lines):
        if number % _EVERY == 0:
            check()
        if table is not None:
            if line == _END:
                table = None
            else:
                found[table] += 1
        elif match := _COPY.fullmatch(line):
            table = match[1].decode("utf-8", "replace")
            found[table] = 0
    return found


def count_query(tables: Iterable[str]) -> str:
    """One statement, and so one moment, that counts all of ``tables`` (quoted already, as `COUNTED` gives them)."""
    parts = [f"SELECT 'tagship:' || count(*) || ':' || {_literal(table)} FROM {table}" for table in tables]  # noqa: S608
    return " UNION ALL ".join(parts)


def read_counts(lines: Iterable[str]) -> dict[str, int]:
    """Rows by table in what `count_query` answers."""
    found: dict[str, int] = {}
    for line in lines:
        mark, _, rest = line.partition(":")
        number, _, table = rest.partition(":")
        if mark == "tagship" and number.isdigit():
            found[table] = int(number)
    return found


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
