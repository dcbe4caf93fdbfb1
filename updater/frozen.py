"""``@frozen``: what ``@dataclass(frozen=True)`` says, made in a quarter of the time (docs/adr/0014).

A dataclass compiles six functions for every class. There are 170 classes here, and every command imports most of
them: it was a sixth of what importing takes. Here only ``__init__`` is compiled; the other five are the same functions
for all classes, and read the names of the fields. `dataclasses.fields`, ``replace`` and ``asdict`` work as usual, and
so do type checkers (PEP 681). Instances take a little longer: classes with thousands of them are dataclasses.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, TypeVar, dataclass_transform

__all__ = ["frozen"]

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[_T]) -> type[_T]:
    """Make ``cls`` a dataclass whose instances cannot be changed, are compared and hashed by their fields, and show
    them. What ``field(compare=, hash=, repr=)`` says holds. A method that the class defines itself stays."""
    made = dataclass(repr=False, eq=False)(cls)
    own = fields(made)  # type: ignore[arg-type] # a dataclass since the line before
    names: dict[str, Any] = {
        "_compared": tuple(one.name for one in own if one.compare),
        "_hashed": tuple(one.name for one in own if (one.compare if one.hash is None else one.hash)),
        "_shown": tuple(one.name for one in own if one.repr),
    }
    for name, value in (_METHODS | names).items():
        if name not in cls.__dict__:
            setattr(cls, name, value)
    return cls


def _set_once(self: Any, name: str, value: object) -> None:
    """For ``__init__``; never again."""
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _delete(_: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _equals(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self._compared)


def _hash(self: Any) -> int:
    return hash(tuple(getattr(self, name) for name in self._hashed))


def _show(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
    return f"{self.__class__.__qualname__}({shown})"


_METHODS: dict[str, Any] = {
    "__setattr__": _set_once,
    "__delattr__": _delete,
    "__eq__": _equals,
    "__hash__": _hash,
    "__repr__": _show,
}
