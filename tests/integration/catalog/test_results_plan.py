"""What a study page asks of results costs as much as the study has of them, and not as much as the archive has."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from consumers.catalog import inference
from consumers.catalog.database import SCHEMA, parameters, snapshot
from consumers.catalog.migrate import migrate
from gateway.pages import provenance
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, night, write
from tests.postgres import run_postgres

TABLES = {"inferences", "inference_findings", "inference_objects", "reviews"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.fixture(scope="module")
def archive() -> Iterator[str]:
    """Thousands of results, each as one that there is: of a few, everything is quickest by walking through all."""
    with run_postgres() as server:
        dsn, hospital, log = server.new_database("results"), Hospital(), new_log()
        migrate(dsn)
        write(log, night(hospital))
        projected(dsn, log, hospital)
        with psycopg.connect(dsn, **parameters(SCHEMA)) as writer:
            for table in sorted(TABLES):
                another = "jsonb_populate_record(one, jsonb_build_object('event_id', gen_random_uuid()))"
                writer.execute(
                    f"INSERT INTO {table} SELECT ({another}).* FROM {table} one, generate_series(1, 2000)".encode()
                )
                writer.execute(f"ANALYZE {table}".encode())
        yield dsn


@pytest.mark.parametrize(
    "question",
    [
        inference._ONE,
        inference._FINDINGS,
        inference._REVIEWS,
        inference._HAS_REVIEW,
        provenance._PROVENANCE,
        provenance._OBJECTS,
    ],
)
def test_results_are_looked_up_by_their_id(archive: str, question: str) -> None:
    """Before, each was a walk through all results there are, ten times a second while a review was waited for."""
    one = str(uuid.uuid4())
    asked = {"tenant": TENANT, "event_id": one, "results": [one]}
    with snapshot(archive) as cursor:
        (((told,),),) = cursor.execute(f"EXPLAIN (FORMAT JSON) {question}".encode(), asked).fetchall()
    read = [one for one in nodes(told["Plan"]) if one.get("Relation Name") in TABLES]
    assert read
    for node in read:
        assert "event_id" in node.get("Index Cond", "") + node.get("Recheck Cond", ""), node


def test_what_is_no_id_is_no_result(dsn: str) -> None:
    with snapshot(dsn) as cursor:
        for text in ("", "x", str(uuid.uuid4())[:-1], "{" + str(uuid.uuid4()) + "}", "\0"):
            assert inference.result(cursor, TENANT, text) is None
