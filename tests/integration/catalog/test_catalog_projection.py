"""The projection against a real PostgreSQL: whatever order and however often, the same catalog."""

from __future__ import annotations

import random

from consumers.catalog.migrate import migrate
from tests.catalogs import catalog_of, checksum_of, project, projected, rows
from tests.event_streams import Hospital, new_log, night, write


def test_twenty_random_interleavings_give_the_catalog_of_the_one_in_order(dsn: str) -> None:
    hospital, log = Hospital(seed=1), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    in_order = checksum_of(dsn)
    speakers = "SELECT * FROM studies ORDER BY 1, 2"
    instances = "SELECT sop_instance_uid, digest, lane, received_at FROM instances ORDER BY 1, 2"
    for seed in range(20):
        schema = f"build{seed}"
        migrate(dsn, schema=schema)
        with catalog_of(dsn, log, hospital, schema) as catalog:
            project(catalog, log, random.Random(seed), size=30)
        assert checksum_of(dsn, schema).differing(in_order) == []
        assert checksum_of(dsn, schema).total == in_order.total
        for query in (
            speakers,
            instances,
            "SELECT * FROM series ORDER BY 1, 2, 3",
            "SELECT * FROM patients ORDER BY 1, 2",
        ):
            assert rows(dsn, query, schema) == rows(dsn, query)
        served = "SELECT sop_instance_uid, digest FROM served_instances ORDER BY 1"
        assert rows(dsn, served, schema) == rows(dsn, served)
