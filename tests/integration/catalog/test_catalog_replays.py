"""What a replay made is beside what is current, until its generation is switched to; in whatever order that is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from consumers.catalog.database import snapshot
from consumers.catalog.migrate import migrate
from consumers.catalog.study import study
from streams.events import Event
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from tests.catalogs import catalog_of, checksum_of, ends_of, project, projected, rows
from tests.event_streams import TENANT, Candidate, Hospital, inputs, new_log, partitions_of, write

GENERATIONS = "SELECT digest, generation FROM current_derivations ORDER BY 1"
VERDICTS = "SELECT verdict::text, generation FROM current_verdicts ORDER BY 1, 2"
OPEN = (
    "SELECT count(*) FROM instances i WHERE NOT EXISTS (SELECT FROM effective_derivations d WHERE d.digest = i.digest)"
)


def current(dsn: str) -> set[object]:
    return {generation for _, generation in rows(dsn, GENERATIONS)}


def test_a_candidate_is_not_current_before_it_is_switched_to(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    derive, validate = hospital.replay("derive", 2), hospital.replay("validate", 2)
    write(log, [image, hospital.validated(image), hospital.derived(image), derive, validate])
    write(log, [Candidate(hospital.derived(image, 2)), Candidate(hospital.quarantined(image, 2))])
    projected(dsn, log, hospital)
    assert current(dsn) == {1}
    assert rows(dsn, VERDICTS) == [("validated", 1)]
    with snapshot(dsn) as cursor:
        found = study(cursor, TENANT, image.instance.study_uid)
    assert found is not None
    assert (found.counts.served, found.counts.quarantined) == (1, 0)
    before = checksum_of(dsn)
    write(log, [hospital.came_to(derive, "completed")])
    projected(dsn, log, hospital)
    assert current(dsn) == {1}
    write(log, [hospital.came_to(derive, "switched")])
    projected(dsn, log, hospital)
    assert current(dsn) == {2}
    assert rows(dsn, VERDICTS) == [("validated", 1)], "another step's number is another generation"
    assert checksum_of(dsn).differing(before) == ["generations"]
    write(log, [hospital.came_to(validate, "switched")])
    projected(dsn, log, hospital)
    assert rows(dsn, VERDICTS) == [("quarantined", 2)]


def test_a_candidate_of_what_has_no_result_yet_is_no_result(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    write(log, [image, hospital.replay("derive", 2), Candidate(hospital.derived(image, 2))])
    projected(dsn, log, hospital)
    assert rows(dsn, GENERATIONS) == []
    assert rows(dsn, OPEN) == [(1,)]


def orders(log: MemoryLog) -> Iterator[tuple[TopicPartition, ...]]:
    """Rotations forwards and backwards: each of the four is read before each other, and after it."""
    four = partitions_of(log)
    assert len(four) == 4
    for turn in range(4):
        turned = (*four[turn:], *four[:turn])
        yield from (turned, turned[::-1])


def test_claim_candidates_switch_and_publication_are_read_in_any_order(dsn: str) -> None:
    hospital, log = Hospital(), new_log(partitions=1)
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    made, claim = hospital.derived(image, 2), hospital.replay("derive", 2)
    published = structs.replace(made, meta=structs.replace(made.meta, lane="bulk"))
    write(log, [hospital.derived(image), claim, Candidate(made), hospital.came_to(claim, "switched"), published])
    projected(dsn, log, hospital)
    expected = checksum_of(dsn)
    assert rows(dsn, "SELECT generation, candidate FROM derivations ORDER BY 1") == [(1, False), (2, False)]
    for number, order in enumerate(orders(log)):
        schema = f"order{number}"
        migrate(dsn, schema=schema)
        with catalog_of(dsn, log, hospital, schema) as catalog:
            catalog.positions(order)
            for partition in order:
                batch = inputs(log, partition)
                catalog.apply(batch, ends_of(batch))
        assert checksum_of(dsn, schema).total == expected.total, order
        assert rows(dsn, GENERATIONS, schema) == rows(dsn, GENERATIONS)


@pytest.mark.parametrize("published_first", [True, False])
def test_one_batch_with_an_event_from_both_its_topics_has_one_row_that_is_no_candidate(
    dsn: str, published_first: bool
) -> None:
    hospital, log = Hospital(), new_log(partitions=1)
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    made: Event = hospital.derived(image, 2)
    write(log, [made, Candidate(made)] if published_first else [Candidate(made), made])
    with catalog_of(dsn, log, hospital) as catalog:
        project(catalog, log)
    assert rows(dsn, "SELECT generation, candidate FROM derivations") == [(2, False)]
