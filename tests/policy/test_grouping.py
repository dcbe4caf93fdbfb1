"""Which releases of several components go together: rules by example, and what holds for any site."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from updater.grouping import Candidate, Member, choose_together


def member(name: str, now: str | None, *offers: tuple[str, dict[str, str]], **needs: str) -> Member:
    return Member(name, Candidate(now, needs), tuple(Candidate(v, requires, new=True) for v, requires in offers))


def chosen(*members: Member) -> dict[str, str | None]:
    return {name: candidate.version for name, candidate in choose_together(members)[0].items()}


def test_each_gets_its_best_where_nobody_minds():
    assert chosen(member("core", "1", ("3", {}), ("2", {})), member("dark", "1", ("2", {}))) == {
        "core": "3",
        "dark": "2",
    }


def test_the_core_comes_first():
    """A theme that is left behind would hold it back; an older theme that fits does not."""
    dark = member("dark", "1", ("3", {"core": ">=9"}), ("2", {"core": ">=2"}), core="<2")
    assert chosen(member("core", "1", ("2", {})), dark) == {"core": "2", "dark": "2"}


def test_what_stays_holds_back():
    core = member("core", "1.0", ("2.0", {}), ("1.5", {}))
    found, reasons = choose_together([core, member("dark", "1", core="<2")])
    assert found["core"].version == "1.5"
    assert reasons["core"] == ("2.0: dark 1 needs core <2, and this site would have 2.0.",)


def test_what_was_wrong_before_need_not_be_mended():
    assert chosen(member("core", "3"), member("dark", "1", ("2", {}), core="<2"))["dark"] == "2"
    assert chosen(member("core", "3", ("4", {})), member("dark", "1", core="<2"))["core"] == "3"


def test_the_core_may_do_without_a_plugin_but_not_a_plugin_without_another():
    assert chosen(member("core", "1", ("2", {"dark": ">=2"}))) == {"core": "2"}
    found, reasons = choose_together([member("core", "1"), member("dark", "1", ("2", {"shiny": ">=1"}))])
    assert found["dark"].version == "1"
    assert reasons["dark"] == ("2: dark 2 needs shiny >=1, which is not installed.",)


def test_a_specifier_that_cannot_be_read_fits_nothing():
    assert chosen(member("core", "1", ("2", {})), member("dark", "1", core="new")) == {"core": "1", "dark": "1"}


VERSIONS = st.sampled_from([f"{number}.0" for number in range(1, 6)])
RANGES = st.sampled_from([">=2.0", "<3.0", "==1.0", ">=1.0,<5.0", ">=4.0"])
NAMES = ("core", "a", "b", "c")
NEEDS = st.dictionaries(st.sampled_from(NAMES), RANGES, max_size=2)


@st.composite
def sites(draw: st.DrawFn) -> list[Member]:
    found = []
    for name in NAMES[: draw(st.integers(1, 4))]:
        versions = sorted(draw(st.lists(VERSIONS, unique=True, max_size=4)), reverse=True)
        offers = tuple(
            Candidate(version, {k: v for k, v in draw(NEEDS).items() if k != name}, new=True) for version in versions
        )
        now = Candidate(draw(VERSIONS), {k: v for k, v in draw(NEEDS).items() if k != name})
        found.append(Member(name, now, offers))
    return found


@given(sites())
def test_nothing_new_ever_misfits_and_all_that_is_passed_over_is_explained(members: list[Member]):
    found, reasons = choose_together(members)
    for first, one in found.items():
        for second, other in found.items():
            if first != second and (one.new or other.new) and second in one.requires:
                assert SpecifierSet(one.requires[second]).contains(str(other.version))
    for each in members:
        assert found[each.name] in each.candidates
        passed = each.candidates.index(found[each.name])
        assert len(reasons[each.name]) == passed
        # nobody could have the next better one with all the others as they are chosen
        if passed:
            better = {**found, each.name: each.candidates[passed - 1]}
            assert any(
                (one.new or other.new)
                and second in one.requires
                and not SpecifierSet(one.requires[second]).contains(str(other.version))
                for first, one in better.items()
                for second, other in better.items()
                if first != second
            ) or any(name not in better for name in better[each.name].requires)
