"""The journal of a migration: what was done is not done again, also after the power went in the middle of a line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radstream.errors import Failure
from radstream.migrating.journal import Entry, Journal

ENTRIES = [
    Entry(study="1.2.1", state="pulled", said=4, listed=4, here=4, moves=1),
    Entry(study="1.2.2", state="short", listed=2, here=1, missing=("1.2.2.9",), reason="not pulled"),
    Entry(study="1.2.2", state="pulled", listed=2, here=2, moves=1),
]


def written(path: Path) -> bytes:
    with closing(Journal(path)) as journal:
        for entry in ENTRIES:
            journal.write(entry)
    return path.read_bytes()


def test_the_last_line_of_a_study_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "old.jsonl"
    written(path)
    with closing(Journal(path)) as journal:
        assert journal.entries == {"1.2.1": ENTRIES[0], "1.2.2": ENTRIES[2]}


def test_a_torn_last_line_is_cut_off_wherever_it_was_torn(tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = written(tmp_path_factory.mktemp("whole") / "j.jsonl")
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]

    @settings(deadline=None, max_examples=50)
    @given(st.integers(0, len(whole)))
    def torn(at: int) -> None:
        path = tmp_path_factory.mktemp("torn") / "j.jsonl"
        path.write_bytes(whole[:at])
        with closing(Journal(path)) as journal:
            kept = sum(end <= at for end in ends)
            assert journal.entries == {entry.study: entry for entry in ENTRIES[:kept]}
            journal.write(ENTRIES[0])
        with closing(Journal(path)) as journal:
            assert journal.entries == {entry.study: entry for entry in [*ENTRIES[:kept], ENTRIES[0]]}

    torn()


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("a list of things\n", encoding="utf-8")
    with pytest.raises(Failure, match=r"notes\.txt:1"):
        Journal(path)
    assert path.read_text(encoding="utf-8") == "a list of things\n"
    path.write_bytes(b'{"study": "\xb0"}\n')
    with pytest.raises(Failure, match=r"notes\.txt:1"):
        Journal(path)


def test_one_journal_is_never_held_by_two(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "j.jsonl")), pytest.raises(Failure, match="another migration"):
        Journal(tmp_path / "j.jsonl")
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        assert journal.entries == {}
