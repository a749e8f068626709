"""Windows of time, so that every study is found however few answers an old PACS gives at a time.

A PACS that stops at a number of answers may say so (0xA700), or end as if that were all. So a window's answer is taken
for whole only where the same PACS has given more at once before; else both halves are asked too. That costs a few
questions at the beginning and after each new largest answer, and then one for each window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

DAY_S: Final = 86_400
# A PACS that stops at fewer answers than this is not known to exist; it is taken at its word below.
FEWEST: Final = 10
# An answer of some hundred studies costs a PACS little, and says much.
_FEW, _MANY, _DAYS_MAX = 250, 1000, 366
_WIDER_DAYS: Final = (1, 4, 16, 64)


@dataclass(frozen=True)
class Window:
    """Whole days, both included, or the seconds `from_s` to `to_s` of one day, both ends included."""

    first: date
    last: date
    from_s: int = 0
    to_s: int = DAY_S

    def halves(self) -> tuple[Window, Window] | None:
        """None for a second. Halves of a day share the moment between them: no fraction of a second is in neither."""
        if days := (self.last - self.first).days:
            middle = self.first + timedelta(days=days // 2)
            return Window(self.first, middle), Window(middle + timedelta(days=1), self.last)
        if self.to_s - self.from_s <= 1:
            return None
        middle_s = (self.from_s + self.to_s) // 2
        return Window(self.first, self.last, self.from_s, middle_s), Window(self.first, self.last, middle_s, self.to_s)

    @property
    def dates(self) -> str:
        """A range of DA (PS3.4 section C.2.2.2.5)."""
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}"

    @property
    def times(self) -> str:
        """A range of TM; empty for whole days, whose studies may have no time."""
        if (self.from_s, self.to_s) == (0, DAY_S):
            return ""
        end = "235959.999999" if self.to_s == DAY_S else _time(self.to_s)
        return f"{_time(self.from_s)}-{end}"

    def __str__(self) -> str:
        return f"{self.dates} {self.times}".strip()


@dataclass(frozen=True)
class Found:
    """A study as the old PACS lists it. `instances` is how many it says that the study has, where it says so."""

    uid: str
    instances: int | None = None
    modalities: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answer:
    """`whole` is False where the PACS said that there is more."""

    studies: tuple[Found, ...]
    whole: bool = True


class TooMany(Exception):
    """The PACS refuses even the smallest question. The text says which."""


@dataclass(frozen=True)
class _Doubt:
    """`answers` is what the window was answered with; None where the PACS said that there is more."""

    window: Window
    answers: int | None
    of_times: bool


@dataclass
class Splitter:
    """Asks for windows and their halves."""

    ask: Callable[[Window], Answer]
    fewest: int = FEWEST

    def __post_init__(self) -> None:
        self._most = self.fewest
        self._doubts: list[_Doubt] = []

    @property
    def unproven(self) -> list[Window]:
        """Windows that may have more studies than the PACS showed. What it gave since may have proven some."""
        return [one.window for one in self._doubts if not one.of_times and self._is_open(one)]

    @property
    def by_time(self) -> list[Window]:
        """Days that were found by their times alone: a study without a time may have been cut off there."""
        return [one.window for one in self._doubts if one.of_times and self._is_open(one)]

    def studies(self, window: Window) -> dict[str, Found]:
        """By UID. Raises TooMany, and what `ask` raises."""
        return self._studies(window, self.ask(window))

    def prove(self) -> None:
        """Asks for wider windows around one in doubt: a larger answer proves that the smaller ones were whole."""
        open_ = [one for one in self._doubts if one.answers is not None and self._is_open(one)]
        for days in _WIDER_DAYS if open_ else ():
            around = timedelta(days=days)
            answer = self.ask(Window(open_[0].window.first - around, open_[0].window.last + around))
            if len(answer.studies) > self._most:
                self._most = len(answer.studies)
                return

    def _is_open(self, doubt: _Doubt) -> bool:
        return doubt.answers is None or doubt.answers >= self._most

    def _studies(self, window: Window, answer: Answer) -> dict[str, Found]:
        found = {study.uid: study for study in answer.studies}
        if answer.whole and (len(answer.studies) < self._most or not found):
            return found
        if answer.whole:
            self._most = len(answer.studies)
        halves = window.halves()
        if halves is None:
            if not found:
                raise TooMany(f"it gives no answer for {window}, and says that there are too many")
            return self._doubted(window, answer, found)
        answers = [self.ask(half) for half in halves]
        if found and all(found.keys() == {study.uid for study in half.studies} for half in answers):
            # It does not look at the time, so smaller windows would never show fewer.
            return self._doubted(window, answer, found)
        parts: dict[str, Found] = {}
        for half, of_half in zip(halves, answers, strict=True):
            parts |= self._studies(half, of_half)
        if window.first == window.last and not window.times:
            # Studies without a time are in no half. Where some were shown, there may well be more.
            self._doubted(window, answer, found, of_times=found.keys() <= parts.keys())
        return found | parts

    def _doubted(
        self, window: Window, answer: Answer, found: dict[str, Found], *, of_times: bool = False
    ) -> dict[str, Found]:
        self._doubts.append(_Doubt(window, len(answer.studies) if answer.whole else None, of_times))
        return found


@dataclass
class Steps:
    """The windows of a range, the oldest first, long over empty years and short over busy ones.

    `found` is told after each window how many studies it had.
    """

    since: date
    until: date

    def __iter__(self) -> Iterator[Window]:
        first, self._days = self.since, 1
        while first <= self.until:
            last = min(first + timedelta(days=self._days - 1), self.until)
            yield Window(first, last)
            first = last + timedelta(days=1)

    def found(self, studies: int) -> None:
        if studies < _FEW:
            self._days = min(self._days * 2, _DAYS_MAX)
        elif studies > _MANY:
            self._days = max(self._days // 2, 1)


def _time(second: int) -> str:
    """TM without seconds where they are 0: a PACS that compares texts then finds `1200` from 12:00 on."""
    hours, rest = divmod(second, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02}{minutes:02}{seconds:02}" if seconds else f"{hours:02}{minutes:02}"
