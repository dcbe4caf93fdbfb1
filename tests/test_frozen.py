"""`@frozen` against what it stands for, ``@dataclass(frozen=True)``."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from functools import cached_property

import pytest

from updater.frozen import frozen


def made_by(decorator: Callable[[type], type]) -> type:
    @decorator
    class Record:
        name: str
        size: int = 0
        extra: Mapping[str, int] = field(default_factory=dict, hash=False)
        secret: str = field(default="", repr=False, compare=False)

        @cached_property
        def doubled(self) -> int:
            return 2 * self.size

    return Record


Ours, Theirs = made_by(frozen), made_by(dataclass(frozen=True))


@frozen
class Derived(Ours):
    more: int = 5


@frozen
class Named:
    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


CASES = [
    ("a",),
    ("a", 1),
    ("b", 1),
    ("a", 1, {"x": 1}),
    ("a", 1, {"x": 2}),
    ("a", 1, {"x": 2}, "secret"),
]


@pytest.mark.parametrize("one", CASES)
@pytest.mark.parametrize("other", CASES)
def test_it_compares_hashes_and_shows_like_a_dataclass(one: tuple, other: tuple) -> None:
    ours, theirs = (Ours(*one), Ours(*other)), (Theirs(*one), Theirs(*other))
    assert (ours[0] == ours[1]) is (theirs[0] == theirs[1])
    assert (hash(ours[0]) == hash(ours[1])) is (hash(theirs[0]) == hash(theirs[1]))
    assert repr(ours[0]) == repr(theirs[0])
    assert asdict(ours[0]) == asdict(theirs[0])
    assert ours[0] != theirs[0]


def test_nothing_of_it_can_be_changed() -> None:
    one = Ours("a", 1)
    for attempt in ("name", "size", "unknown"):
        with pytest.raises(FrozenInstanceError):
            setattr(one, attempt, "b")
    with pytest.raises(FrozenInstanceError):
        del one.name
    assert one == Ours("a", 1)
    assert one.doubled == 2, "what is computed once may be kept"


def test_the_tools_for_dataclasses_work() -> None:
    one = Ours("a", 1, {"x": 1})
    assert replace(one, name="b") == Ours("b", 1, {"x": 1})
    assert [found.name for found in fields(one)] == ["name", "size", "extra", "secret"]
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(Derived("a"))) == Derived("a")
    with pytest.raises(TypeError):
        Ours()  # type: ignore[call-arg]


def test_a_derived_class_has_all_fields_and_is_another_one() -> None:
    assert Derived("a", more=6) != Derived("a", more=7)
    assert Derived("a") != Ours("a")
    assert repr(Derived("a")) == "Derived(name='a', size=0, extra={}, more=5)"


def test_what_a_class_says_itself_stays() -> None:
    assert repr(Named("a")) == "<a>"
    assert Named("a") == Named("a")
