"""Windows of time: whatever number of answers an old PACS stops at, every study is found once, or it is said where."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radstream.migrating.windows import DAY_S, Answer, Found, Splitter, Steps, TooMany, Window

FIRST, LAST = date(2019, 12, 28), date(2020, 3, 2)


@dataclass(frozen=True)
class Kept:
    """A study in the PACS; `second` is None where it has no Study Time."""

    uid: str
    day: date
    second: int | None


class Pacs:
    """Answers at most `cap` studies; says so with a status, or not. Matches as PS3.4 section C.2.2.2.5 has it."""

    def __init__(self, kept: Sequence[Kept], cap: int, *, honest: bool, looks_at_times: bool = True) -> None:
        self._kept, self._cap, self._honest, self._looks = kept, cap, honest, looks_at_times
        self.asked = 0

    def __call__(self, window: Window) -> Answer:
        self.asked += 1
        found = [Found(one.uid) for one in self._kept if self._matches(one, window)]
        return Answer(tuple(found[: self._cap]), whole=len(found) <= self._cap or not self._honest)

    def _matches(self, one: Kept, window: Window) -> bool:
        if not window.first <= one.day <= window.last:
            return False
        if not window.times or not self._looks:
            return True
        return one.second is not None and window.from_s <= one.second <= window.to_s


def kept(times: st.SearchStrategy[int | None]) -> st.SearchStrategy[list[Kept]]:
    days = st.dates(FIRST, LAST) | st.just(FIRST)
    pairs = st.lists(st.tuples(days, times), max_size=40)
    return pairs.map(lambda all_: [Kept(f"1.{number}", *pair) for number, pair in enumerate(all_)])


timed = kept(st.integers(0, DAY_S - 1) | st.sampled_from((0, 43_200, DAY_S - 1)))


@settings(deadline=None, max_examples=300)
@given(timed | kept(st.none() | st.integers(0, DAY_S - 1)), st.integers(1, 50), st.booleans())
def test_whatever_the_cap_every_study_is_found_once_or_its_window_is_named(
    studies: list[Kept], cap: int, honest: bool
) -> None:
    splitter, found = Splitter(Pacs(studies, cap, honest=honest), fewest=1), list[str]()
    for window in Steps(FIRST, LAST):
        found += splitter.studies(window)
    splitter.prove()
    assert len(found) == len(set(found))
    for one in (one for one in studies if one.uid not in found):
        if one.second is None and any(window.first == one.day for window in splitter.by_time):
            continue
        assert any(
            window.first <= one.day <= window.last
            and (one.second is None or window.from_s <= one.second <= window.to_s)
            for window in splitter.unproven
        )


@settings(deadline=None)
@given(st.lists(st.tuples(st.dates(FIRST, LAST), st.integers(0, DAY_S - 1)), unique=True), st.integers(2, 50))
def test_studies_at_different_seconds_are_all_found(pairs: list[tuple[date, int]], cap: int) -> None:
    studies = [Kept(f"1.{number}", *pair) for number, pair in enumerate(pairs)]
    splitter = Splitter(Pacs(studies, cap, honest=False), fewest=2)
    found = splitter.studies(Window(FIRST, LAST))
    # Halves of a day share a second, so with a cap of one study neither would be seen whole.
    assert found.keys() == {one.uid for one in studies}


def test_a_pacs_without_a_cap_is_asked_little_more_than_once_for_each_window() -> None:
    days = (LAST - FIRST).days
    studies = [Kept(f"1.{n}", FIRST + timedelta(days=n % days), n * 7919 % DAY_S) for n in range(20 * days)]
    pacs = Pacs(studies, 10**6, honest=True)
    splitter, found, windows = Splitter(pacs), dict[str, Found](), list[Window]()
    steps = Steps(FIRST, LAST)
    for window in steps:
        part = splitter.studies(window)
        steps.found(len(part))
        found |= part
        windows.append(window)
    assert len(found) == len(studies)
    assert splitter.unproven == []
    assert pacs.asked <= len(windows) + 20
    assert (windows[0].first, windows[-1].last) == (FIRST, LAST)
    assert all(before.last + timedelta(days=1) == after.first for before, after in itertools.pairwise(windows))


def test_a_larger_answer_proves_smaller_ones_afterwards() -> None:
    busy = [Kept(f"1.{n}", FIRST, 600) for n in range(15)]
    splitter = Splitter(Pacs(busy, 10**6, honest=False))
    assert len(splitter.studies(Window(FIRST, FIRST))) == 15
    splitter.prove()
    # All in one second, and nothing else far and wide: this may be all, or all that the PACS gives.
    assert [window.first for window in splitter.unproven] == [FIRST]
    more = [*busy, Kept("2.1", FIRST + timedelta(days=3), None)]
    splitter = Splitter(Pacs(more, 10**6, honest=False))
    assert len(splitter.studies(Window(FIRST, FIRST))) == 15
    splitter.prove()
    assert (splitter.unproven, splitter.by_time) == ([], [])


def test_a_pacs_that_does_not_look_at_times_is_not_asked_for_ever() -> None:
    studies = [Kept(f"1.{n}", FIRST, n) for n in range(30)]
    pacs = Pacs(studies, 20, honest=False, looks_at_times=False)
    splitter = Splitter(pacs)
    assert len(splitter.studies(Window(FIRST, LAST))) == 20
    assert [window.first for window in splitter.unproven] == [FIRST]
    assert pacs.asked < 50


def test_a_pacs_that_always_says_too_many_ends_the_search() -> None:
    asked = []

    def ask(window: Window) -> Answer:
        asked.append(window)
        return Answer((), whole=False)

    with pytest.raises(TooMany):
        Splitter(ask).studies(Window(FIRST, LAST))
    assert len(asked) < 60


def test_windows_are_written_as_ranges_of_the_standard() -> None:
    day = Window(FIRST, FIRST)
    assert (Window(FIRST, LAST).dates, Window(FIRST, LAST).times) == ("20191228-20200302", "")
    early, late = day.halves() or (day, day)
    assert (early.dates, early.times) == ("20191228-20191228", "0000-1200")
    assert late.times == "1200-235959.999999"
    assert Window(FIRST, FIRST, 3661, 3662).times == "010101-010102"
    assert Window(FIRST, FIRST, 3661, 3662).halves() is None
