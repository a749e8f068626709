"""How well a patient agrees: words that a person can check, and an order in which the right one comes first."""

from __future__ import annotations

import pytest

from consumers.catalog.imports import Patient
from radstream.demographics.judging import agreement
from radstream.demographics.query import Known

KNOWN = Known(name="DOE^JANE", birth_date="19500101", sex="F")


def patient(name: str, birth_date: str = "19500101", sex: str = "F") -> Patient:
    return Patient("P1", "NORTH", name, birth_date, sex)


def words(known: Known, found: Patient) -> tuple[str, str, str]:
    judged = agreement(known, found)
    return judged.name, judged.birth_date, judged.sex


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ("DOE^JANE", "Doe^Jane^Q^Dr", "same"),
        ("MUELLER^ANN", "Müller^Ann", "similar"),
        ("GARCIA^JOSE", "García^José", "same"),
        ("DOE JANE", "Doe^Jane", "same"),
        ("Jane^Doe", "Doe^Jane", "same"),
        ("DOE^J", "Doe^Jane", "similar"),
        ("DOE-SMITH^JANE", "Doe Smith^Jane", "same"),
        ("STRAUß^EVA", "Strauss^Eva", "same"),
        ("DOE^JANE", "Roe^Richard", "other"),
        ("DOE^JANE", "", "unknown"),
        ("^^^", "Doe^Jane", "unknown"),
        ("Yamada^Tarou=山田^太郎", "YAMADA^TAROU", "same"),
    ],
)
def test_names_are_compared_as_a_person_would(one: str, other: str, word: str) -> None:
    assert words(Known(name=one), patient(other))[0] == word
    assert words(Known(name=other), patient(one))[0] == word


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ("19500102", "19500102", "same"),
        ("1950.01.02", "19500102", "same"),
        ("19500102", "19500201", "similar"),
        ("19500102", "19500103", "similar"),
        ("19500101", "19500110", "similar"),
        ("19500102", "19501020", "other"),
        ("19500102", "19510304", "other"),
        ("", "19500102", "unknown"),
        ("1950", "19500102", "unknown"),
    ],
)
def test_dates_that_were_mistyped_are_similar(one: str, other: str, word: str) -> None:
    assert words(Known(birth_date=one), patient("", other))[1] == word


def test_sexes_contradict_only_where_both_are_said() -> None:
    assert [words(KNOWN, patient("", sex=sex))[2] for sex in ("F", "M", "O", "")] == ["same", "other", *["unknown"] * 2]


def test_the_right_one_comes_first() -> None:
    order = [
        patient("Doe^Jane"),
        patient("Dough^Jane"),
        patient("Doe^Jane", "19500110"),
        patient("Doe^Jane", ""),
        patient("Doe^Janet", "19621224"),
        patient("Roe^Richard", "19331224", "M"),
    ]
    scores = [agreement(KNOWN, one).score for one in order]
    assert scores[0] == 100
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert agreement(Known(sex="F"), patient("", "", "F")).score < 60


def test_a_name_that_is_longer_than_any_costs_no_more_than_one() -> None:
    """What a scanner said: 64 KiB of it took longer than anybody waits, for each of hundreds of candidates."""
    long = "AB" * 16_000
    assert words(Known(name=long), patient(long[:64]))[0] == "same"
    assert words(Known(name=f"{long}^JANE"), patient("Doe^Jane"))[0] == "other"
