"""What a migration says in the end: complete only where nothing is missing and nothing may be."""

from __future__ import annotations

from datetime import date

import pytest

from radstream.migrate_lines import facts_of, is_complete, print_result
from radstream.migrating.journal import Entry
from radstream.migrating.run import Tally
from radstream.migrating.windows import Window

DAY = Window(date(2020, 1, 1), date(2020, 1, 1))
THERE = Entry(study="1.1", state="there", listed=2, here=2)


def tally_of(*entries: Entry) -> Tally:
    tally = Tally()
    for entry in entries:
        tally.count(entry)
    return tally


@pytest.mark.parametrize(
    ("entry", "unproven", "complete"),
    [
        (THERE, [], True),
        (Entry(study="1.1", state="pulled", elsewhere=("1.1.1",)), [], True),
        (THERE, [DAY], False),
        (Entry(study="1.1", state="short", missing=("1.1.1",)), [], False),
        (Entry(study="1.1", state="failed", reason="it did not answer"), [], False),
    ],
)
def test_a_migration_is_complete_when_nothing_is_missing_and_nothing_may_be(
    entry: Entry, unproven: list[Window], complete: bool
) -> None:
    assert is_complete(tally_of(entry), unproven) is complete
    assert facts_of(tally_of(entry), unproven, [])["complete"] is complete


def test_what_is_missing_is_shown_with_its_reason_and_long_lists_are_cut_with_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    short = [Entry(study=f"1.{n}", state="short", missing=("1.9",), unlisted=2, reason="lost") for n in range(60)]
    print_result(tally_of(THERE, *short), [DAY], [DAY])
    shown = capsys.readouterr().out
    assert "1.49" in shown
    assert "1.50 " not in shown
    assert "and 10 more" in shown
    assert "20200101-20200101: it may have more studies" in shown
    assert "without a study time are not found on 2020-01-01" in shown
    assert "60 short, 1 there; 2 of 2 instances" in shown
