"""Searches of a catalog of a hundred thousand studies read an index, and as much of it as a page has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.view_rows import TENANT, fill
from consumers.catalog.database import Cursor, connect
from consumers.catalog.migrate import migrate
from gateway.dicomweb.searching_attributes import Level
from gateway.dicomweb.searching_query import parsed, returned
from gateway.dicomweb.searching_results import columns
from gateway.dicomweb.searching_sql import Changed, Scope, Search, names_studies
from tests.postgres import run_postgres

STUDIES, PAGE = 100_000, 100


@pytest.fixture(scope="module")
def cursor() -> Iterator[Cursor]:
    with run_postgres() as server:
        dsn = server.new_database("many")
        migrate(dsn)
        with connect(dsn) as connection, connection.cursor() as cursor:
            fill(cursor, STUDIES)
            yield cursor


def plan(cursor: Cursor, query: str, *, after: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    """Every node of the plan, the outermost first, with the rows that it had."""
    scope, asked = Scope(Level.STUDY), parsed(query.encode())
    # As a search asks for them, which has the numbers of wherever a study came from among them.
    shown = columns(Level.STUDY, returned(asked, Level.STUDY, Level.STUDY), named=names_studies(scope, asked))
    text, values = Search(TENANT, scope, asked).page(shown, Changed([]), PAGE, 0, after)
    found = cursor.execute(b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + text, values, prepare=False).fetchone()
    assert found is not None
    nodes, left = [], [found[0][0]["Plan"]]
    while left:
        node = left.pop()
        nodes.append(node)
        left += node.get("Plans", [])
    return nodes


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "by_time"),
        ("PatientName=SMI*", ""),
        ("PatientName=*WISN*^LUKASZ", "by_term"),
        ("PatientName=ZZZ*", "by_term"),
        ("PatientName=SMYTH^JON&fuzzymatching=true", "by_term"),
        ("PatientID=P00000017", "by_patient"),
        ("PatientID=P0000001*", "by_patient"),
        ("AccessionNumber=A000000500", "by_accession"),
        ("StudyDate=20260901-20260930", "by_time"),
        ("StudyDate=20260901&StudyTime=10-11", "by_time"),
        ("ModalitiesInStudy=MR", "by_time"),
        ("ModalitiesInStudy=XA", "by_modality"),
        ("StudyDescription=*nothing of that*", "by_term"),
        ("StudyInstanceUID=1.2.3", "pkey"),
    ],
)
def test_a_search_reads_an_index(cursor: Cursor, query: str, index: str) -> None:
    nodes = plan(cursor, query)
    assert not [
        node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "study_summaries"
    ]
    used = [node["Index Name"] for node in nodes if "Index Name" in node]
    assert any(index in name for name in used), used
    read = sum(
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes if "Index" in node["Node Type"]
    )
    assert read < STUDIES / 10


def test_a_deep_page_begins_where_the_one_before_it_ended(cursor: Cursor) -> None:
    cursor.execute("SELECT study_at::text, study_uid FROM study_summaries ORDER BY 1 DESC, 2 DESC OFFSET 90000 LIMIT 1")
    (place,) = cursor.fetchall()
    nodes = plan(cursor, "", after=place)
    (read,) = [node["Actual Rows"] for node in nodes if node.get("Relation Name") == "study_summaries"]
    assert read == PAGE
