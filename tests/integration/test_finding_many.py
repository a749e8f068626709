"""C-FIND in a catalog of a hundred thousand studies looks at those alone that can match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.view_rows import TENANT, fill
from consumers.catalog.database import Cursor, connect
from consumers.catalog.migrate import migrate
from gateway.dimse import candidates, rows
from gateway.dimse.narrowing import narrowed
from tests.postgres import run_postgres
from tests.retrieves import keys

STUDIES = 100_000


@pytest.fixture(scope="module")
def cursor() -> Iterator[Cursor]:
    with run_postgres() as server:
        dsn = server.new_database("many")
        migrate(dsn)
        with connect(dsn) as connection, connection.cursor() as cursor:
            fill(cursor, STUDIES)
            yield cursor


class Planned:
    """A cursor that has each question explained, and answers what the real one does."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.nodes: list[dict[str, Any]] = []

    @property
    def connection(self) -> Planned:
        return self

    def cursor(self, **_: Any) -> Planned:
        return self

    def __enter__(self) -> Planned:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, query: bytes, asked: dict[str, Any], **more: Any) -> Any:
        explained = self._cursor.execute(b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + query, asked, prepare=False)
        left = [found[0][0]["Plan"]] if (found := explained.fetchone()) is not None else []
        while left:
            node = left.pop()
            self.nodes.append(node)
            left += node.get("Plans", [])
        return self._cursor.execute(query, asked, **more)

    def looked_at(self, relation: str) -> int:
        """Rows of `studies`, or of their lists, `study_summaries`."""
        return sum(
            node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            for node in self.nodes
            if node.get("Relation Name") == relation
        )


@pytest.mark.parametrize(
    ("said", "lists"),
    [
        # Which studies have several values, of which any matches, only a look through the lists says.
        ({"PatientID": "P0000001*"}, STUDIES * 1.1),
        ({"AccessionNumber": "A0000005*"}, STUDIES * 1.1),
        ({"PatientName": "WISNIEWSKI^LUKASZ"}, STUDIES / 10),
        ({"PatientName": "*WISN*^LUKASZ"}, STUDIES / 10),
        ({"PatientName": "ZZZ*"}, STUDIES / 10),
        ({"PatientName": "WISN*", "PatientID": "P0000*", "StudyDate": "20260101-"}, STUDIES / 10),
    ],
)
def test_a_query_looks_at_the_studies_that_can_match(cursor: Cursor, said: dict[str, str], lists: float) -> None:
    """Before, at all of them: names and patterns were compared one study after the other."""
    planned: Any = Planned(cursor)
    asked = keys("STUDY", StudyInstanceUID=None, **said)
    wanted = candidates.among_few(planned, TENANT, asked, narrowed(asked, fuzzy=False), fuzzy=False)
    rows.studies(planned, TENANT, wanted, None)
    assert planned.looked_at("studies") < STUDIES / 10
    assert planned.looked_at("study_summaries") < lists


def test_what_most_studies_match_is_not_looked_up_first(cursor: Cursor) -> None:
    asked = keys("STUDY", PatientID="P*")
    wanted = narrowed(asked, fuzzy=False)
    assert candidates.among_few(cursor, TENANT, asked, wanted, fuzzy=False) == wanted
