"""What a web page may ask for: an action, a version or a restore point, and who asked. Nothing else is ever read."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Literal, cast, get_args

from updater.errors import SchemaError, printable, shortened
from updater.frozen import frozen
from updater.schema.document import Reader, dump_json, format_time, parse_json
from updater.schema.text import check_name

__all__ = ["ACTIONS", "CHANGING", "Action", "Request", "check_run_id"]

Action = Literal["check", "update", "rehearse", "plan-rollback", "rollback", "recover"]

ACTIONS: tuple[Action, ...] = get_args(Action)
CHANGING: tuple[Action, ...] = ("update", "rollback", "recover")
"""Those after which another version may be installed."""

LARGEST = 4096
"""Bytes that a request has at most."""

_TARGETED = ("rehearse", "plan-rollback", "rollback")
_TARGET = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
"""A version or the id of a restore point: nothing that a command line could take for an option or a path."""

_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{12}")
_LONGEST_ACTOR = 150


def check_run_id(text: str) -> None:
    """Raise ValueError unless ``text`` is the id of a run: it becomes part of file names."""
    if not _RUN_ID.fullmatch(text):
        raise ValueError("is not the id of a run")


def _check_target(text: str) -> None:
    if not _TARGET.fullmatch(text):
        raise ValueError("must be a version or the id of a restore point")


@frozen
class Request:
    """One wish. ``target`` is a version (update, rehearse) or a restore point's id; None for an update means "what this
    site may install by itself now". ``components``: only these, by default all that are installed. ``actor`` and
    ``address`` are for the record only; ``at`` is UTC."""

    id: str
    action: Action
    target: str | None
    actor: str
    address: str
    at: datetime
    components: tuple[str, ...] = ()

    @classmethod
    def new(
        cls,
        action: Action,
        target: str | None,
        *,
        actor: str,
        address: str = "",
        now: datetime,
        components: Collection[str] = (),
    ) -> Request:
        """A request with a random id. Raises ValueError for a target or component that cannot be one."""
        for name in components:
            check_name(name)
        if target is not None:
            _check_target(target)
        if target is None and action in _TARGETED:
            raise ValueError(f"{action} needs a target")
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
        moment = now.replace(microsecond=0)
        return cls(run_id, action, target, _clean(actor), _clean(address), moment, tuple(components))

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Read one that another user may have written. Raises SchemaError."""
        reader = Reader(parse_json(data, "the request"), "the request")
        reader.schema()
        request = cls(
            id=reader.text("id", check=check_run_id),
            action=cast(Action, reader.choice("action", ACTIONS)),
            target=reader.optional_text("target", check=_check_target),
            actor=_clean(reader.text("actor", default="", empty=True)),
            address=_clean(reader.text("address", default="", empty=True)),
            at=reader.time("at"),
            components=reader.texts("components", check=check_name),
        )
        if request.target is None and request.action in _TARGETED:
            reader.problem("target", f"is missing: {request.action} needs it")
        reader.finish()
        return request

    def to_bytes(self) -> bytes:
        """The document."""
        known = {**self.__dict__, "at": format_time(self.at)}
        data = dump_json({"schema": "1.0", **known}, ascii=True)
        if len(data) > LARGEST:
            raise SchemaError("the request", [], hint="Its actor is too long.")
        return data


def _clean(text: str) -> str:
    return shortened(printable(" ".join(text.split())), _LONGEST_ACTOR)
