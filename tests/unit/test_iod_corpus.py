"""The check of IODs beside dciodvfy, on files that nobody here wrote: where one is alone, the reason is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.conformance import Compared, compare

pytestmark = pytest.mark.corpus

# Of Type 1C: what it does not read, what it does not know, and what it asks of an object that has not said the rest.
_SEGMENTED = "its palette is segmented (PS3.3 C.7.9.2)"
_UNREAD = "dciodvfy reads no further than the pixel data, which it cannot read"
NOT_ASKED_1C = {
    **dict.fromkeys(("144", "149", "150", "151"), _SEGMENTED),
    **dict.fromkeys(("013", "167", "243"), _UNREAD),
    **dict.fromkeys(("078", "079"), "Multiple Spin Echo is of pulse sequences whose kind it does not say"),
}


@pytest.fixture(scope="module")
def compared(corpus: Path) -> Compared:
    return compare(corpus)


def test_every_type_1_and_2_that_is_missing_or_empty_is_found(compared: Compared) -> None:
    """Also what PS3.3 leaves to the maker (docs/decisions/0075)."""
    assert [(name, *said) for name, kind, said, _ in compared.missed if kind.split()[0] in ("1", "2")] == []
    assert compared.said["1"] + compared.said["2"] > 300


def test_nothing_is_said_that_dciodvfy_does_not_say(compared: Compared) -> None:
    assert [(name, finding.tag) for name, finding in compared.only_ours] == []
    assert compared.ours > 700


def test_conditions_are_found_as_far_as_they_are_computed(compared: Compared) -> None:
    """Laterality is most of what is missed: dciodvfy asks for it where no body part is said."""
    assert {name[:3] for name, kind, *_ in compared.missed if kind.startswith("1C")} == set(NOT_ASKED_1C)
    assert {said[1] for _, kind, said, _ in compared.missed if kind == "2C"} == {"Laterality", "PatientOrientation"}
