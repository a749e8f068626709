"""What an old PACS lists against what is here, and when the next study may be asked for."""

from __future__ import annotations

import csv
import threading
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from consumers.catalog.presence import Present
from radstream.errors import Failure
from radstream.migrating.journal import Entry
from radstream.migrating.listing import Difference, Listing, Missing, Series, difference
from radstream.migrating.pace import Night, Pace
from radstream.migrating.report import COLUMNS, report


def here(uid: str, study: str = "1", series: str = "1.1") -> Present:
    return Present(uid, study, series, "bulk", "validated")


def listing(*series: Series) -> Listing:
    return Listing("1", series)


def test_each_missing_instance_is_named() -> None:
    found = difference(listing(Series("1.1", frozenset({"a", "b"})), Series("1.2", frozenset({"c"}))), {"b": here("b")})
    assert found == Difference((Missing("1", "1.1", "a"), Missing("1", "1.2", "c")), {}, ())
    assert found.series_uids == {"1.1", "1.2"}


def test_more_here_than_the_pacs_lists_is_no_difference() -> None:
    held = {uid: here(uid) for uid in ("a", "b", "late")}
    assert difference(listing(Series("1.1", frozenset({"a", "b"}), said=2)), held).none_missing


def test_an_instance_under_another_study_is_here_and_is_told() -> None:
    found = difference(listing(Series("1.1", frozenset({"a"}))), {"a": here("a", study="2")})
    assert (found.none_missing, found.elsewhere) == (True, ("a",))


def test_instances_that_the_pacs_counts_and_does_not_list_are_missing_until_they_are_here() -> None:
    cut = listing(Series("1.1", frozenset({"a", "b"}), said=4))
    assert difference(cut, {uid: here(uid) for uid in "ab"}).unlisted == {"1.1": 2}
    assert difference(cut, {uid: here(uid) for uid in "abc"}).unlisted == {"1.1": 1}
    assert difference(cut, {uid: here(uid) for uid in "abcd"}).none_missing
    # Those of another series do not count for it.
    assert difference(cut, {**{uid: here(uid) for uid in "ab"}, "x": here("x", series="1.2")}).unlisted == {"1.1": 2}


def test_what_the_pacs_counts_of_the_study_is_missing_beyond_what_is_known_of_its_series() -> None:
    cut = Listing("1", (Series("1.1", frozenset({"a", "b"}), said=3), Series("1.2", frozenset({"c"}))), said=6)
    found = difference(cut, {"a": here("a")})
    assert ([one.sop_instance_uid for one in found.missing], found.unlisted, found.of_study) == (
        ["b", "c"],
        {"1.1": 1},
        2,
    )
    # Also what is here and not listed counts; what is here under another study alone does not.
    held = [*(here(uid) for uid in "abcde"), here("f", series="1.2"), here("x", study="2", series="2.1")]
    assert difference(cut, {one.sop_instance_uid: one for one in held}).none_missing
    assert difference(cut, {one.sop_instance_uid: one for one in held[1:]}).count == 1


@pytest.mark.parametrize(
    ("night", "now", "hours"),
    [
        ("20:00-06:00", 23, 0),
        ("20:00-06:00", 5, 0),
        ("20:00-06:00", 6, 14),
        ("20:00-06:00", 19, 1),
        ("01:00-05:00", 0, 1),
        ("01:00-05:00", 1, 0),
        ("01:00-05:00", 5, 20),
    ],
)
def test_a_night_says_how_long_until_it_begins(night: str, now: int, hours: int) -> None:
    at = datetime(2026, 3, 1, now, tzinfo=UTC)
    assert Night.parse(night).seconds_until(at) == hours * 3600


@pytest.mark.parametrize("text", ["", "20:00", "20:00-20:00", "25:00-06:00", "night"])
def test_what_is_no_night_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Night.parse(text)


class Waiting(threading.Event):
    """Time passes only while somebody waits."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._now, self._start = now, now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._now += timedelta(seconds=timeout)
        return self.is_set()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()


def test_studies_begin_at_the_pace_and_in_the_night() -> None:
    local = datetime(2026, 3, 1, 19, 59, 30).astimezone()
    clock, said = Waiting(local), list[str]()
    pace = Pace(clock, per_minute=30, night=Night(time(20), time(6)), say=said.append)
    begun = []
    for _ in range(3):
        assert pace.wait(clock)
        begun.append(clock.monotonic())
    assert begun == [30, 32, 34]
    assert said == ["waiting until 20:00"]
    clock.set()
    assert not pace.wait(clock)


def test_the_report_has_a_line_for_each_study(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with report(path) as write:
        write(Entry(study="1.2", state="short", listed=3, here=1, missing=("1.2.3", "1.2.4"), reason="away, for now"))
        write(Entry(study="1.3", state="there", said=2))
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    assert [(line["study"], line["state"], line["missing"], line["reason"]) for line in lines] == [
        ("1.2", "short", "1.2.3 1.2.4", "away, for now"),
        ("1.3", "there", "", ""),
    ]
    with pytest.raises(Failure, match="--report"), report(tmp_path / "absent" / "report.csv"):
        pass
