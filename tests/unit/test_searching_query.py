"""The query of a search, taken apart, and the conditions that are made of it."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.catalog.names import folded, folded_name, sound
from consumers.catalog.summaries import time_of
from gateway.dicomweb.searching_attributes import ATTRIBUTES, Level
from gateway.dicomweb.searching_matching import days, moments, times
from gateway.dicomweb.searching_query import Query, parsed, returned
from gateway.dicomweb.searching_sql import Changed, Scope, Search
from gateway.problem import Problem

KEYS = st.sampled_from(
    [*(one.keyword for one in ATTRIBUTES), "limit", "offset", "includefield", "fuzzymatching", "x.y"]
)
VALUES = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_query_or_a_problem_of_the_client(query: bytes) -> None:
    answered(query)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6))
def test_any_values_are_a_search_or_a_problem_of_the_client(pairs: list[tuple[str, str]]) -> None:
    answered(urlencode(pairs).encode())


def answered(query: bytes) -> None:
    try:
        for level in Level:
            text, values = Search("t", Scope(level), parsed(query)).page(["s.study_uid"], Changed([]), 1, 0)
            # Each value has its place, and nothing that was asked for is in the text.
            assert text.count(b"%s") == len(values)
    except Problem as problem:
        if problem.status != 400:
            raise


def test_tags_keywords_and_paths_are_the_same_attribute() -> None:
    by_tag = parsed(b"00100010=A&00400275.00400009=S1&includefield=0008103E,00080080&includefield=PatientAge")
    by_keyword = parsed(
        b"PatientName=A&RequestAttributesSequence.ScheduledProcedureStepID=S1"
        b"&includefield=SeriesDescription&includefield=InstitutionName,PatientAge"
    )
    assert by_tag == by_keyword


def test_what_is_matched_is_returned_also_where_its_value_is_empty() -> None:
    query = parsed(b"PatientAge=&OtherPatientIDs=7")
    assert query.match == {("OtherPatientIDs",): "7"}
    assert {"PatientAge", "OtherPatientIDs"} <= returned(query, Level.STUDY, Level.STUDY)
    assert "PatientAge" not in returned(Query(), Level.STUDY, Level.STUDY)
    assert "PatientAge" in returned(parsed(b"includefield=all"), Level.STUDY, Level.STUDY)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20260131", ("20260131", "20260131")),
        ("20260101-20260131", ("20260101", "20260131")),
        ("20260101-", ("20260101", "99999999")),
        ("-20260131", ("00000000", "20260131")),
        ("2026.01.31", ("20260131", "20260131")),
    ],
)
def test_days(value: str, expected: tuple[str, str]) -> None:
    assert days("StudyDate", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10", ("100000.000000", "105959.999999")),
        ("1015-11", ("101500.000000", "115959.999999")),
        ("101530.5-", ("101530.500000", "235959.999999")),
        ("-10:15", ("000000.000000", "101559.999999")),
    ],
)
def test_times(value: str, expected: tuple[str, str]) -> None:
    assert times("StudyTime", value) == expected


def test_both_ranges_are_one() -> None:
    assert moments("20260101-20260103", "1000-12") == ("2026-01-01 10:00:00.000000", "2026-01-03 12:59:59.999999")


@pytest.mark.parametrize(("text", "expected"), [("24", None), ("1015", "101500.000000"), ("101560", "101559.000000")])
def test_a_time_is_one_that_a_clock_shows(text: str, expected: str | None) -> None:
    assert time_of(text) == expected


def test_names_without_case_accents_and_empty_ends() -> None:
    assert folded("Müller ŁÓDŹ Ø") == "muller lodz o"
    assert folded_name("Yamada^Tarou^^=山田^太郎=") == "=yamada^tarou=山田^太郎="
    assert folded_name("^^") == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("smith", "smyth"),
        ("meyer", "maier"),
        ("johansson", "johanson"),
        ("katherine", "catherine"),
        ("filip", "philip"),
    ],
)
def test_what_sounds_alike(one: str, other: str) -> None:
    assert sound(one) == sound(other)


@pytest.mark.parametrize(("one", "other"), [("smith", "jones"), ("山田", "田中"), ("muller", "mayer")])
def test_what_does_not(one: str, other: str) -> None:
    assert sound(one) != sound(other)
