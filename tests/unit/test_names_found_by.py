"""What a name is found by: whatever C-FIND takes for a match is among what the lists are asked for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from consumers.catalog.names import folded_name, found_by, terms
from streams.dimse.matching import Agreed, matches, words_of

LETTERS = st.text(st.sampled_from("abAB üÄßłÆøé'-^=._[か゛が山김기\u0301"), max_size=12)
WILD = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.sampled_from(["*", "?", "**", ""])), max_size=3)


def is_match(key: str, name: str, fuzzy: bool) -> bool:
    asked, held = Dataset(), Dataset()
    asked.PatientName, held.PatientName = key, name
    return matches(asked, held, Agreed(fuzzy=fuzzy))


@pytest.mark.filterwarnings("ignore:The number of PN components length")
@given(LETTERS, WILD, LETTERS, st.booleans())
@example("", [], "===", False)
@example("O'Brien^Seán", [(2, 1, "*")], "", False)
@example("Łukasz", [(5, 1, "?")], "", True)
@example("Yamada^Tarou=山田^太郎", [(0, 13, "")], "", False)
def test_who_matches_is_among_who_is_asked_for(
    name: str, holes: list[tuple[int, int, str]], other: str, fuzzy: bool
) -> None:
    key = name
    for at, length, wild in holes:
        key = key[:at] + wild + key[at + length :]
    for asked in (key, other):
        if is_match(asked, name, fuzzy):
            patterns = words_of(asked) if fuzzy else [asked]
            assert set(found_by("n", patterns, ends=not fuzzy)) <= terms("n", folded_name(name))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("Müller^J*", {"n  m", "n mu", "nmul", "null", "nlle", "nler", "ner ", "n  j"}),
        ("*ann?", {"nann"}),
        ("*a?", set()),
        ("*", set()),
    ],
)
def test_what_a_pattern_says_is_asked_for(pattern: str, found: set[str]) -> None:
    assert set(found_by("n", [pattern])) == found
