"""A log that lets the service not read what has arrived: the service says which topic, at its start and later."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumers.commitment.__main__ import main
from consumers.commitment.arrivals import Arrivals
from consumers.commitment.config import Settings
from streams.config import Site, load
from streams.log import TopicClosed
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.service import Context
from streams.step import Away
from streams.stop import Stop
from streams.wire import SchemaIds
from tests.commitment_world import with_topics
from tests.logged import captured
from tests.unit.test_commitment_places import ONE, REST, STORE

BULK = "imaging.instance.received.bulk"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Guarded(MemoryLog):
    """As a broker with ACLs answers whoever has none on this topic."""

    closed = False

    def partitions_of(self, topics: Collection[str]) -> Mapping[str, int]:
        if self.closed and BULK in topics:
            raise TopicClosed(f"topic {BULK}: TOPIC_AUTHORIZATION_FAILED: Topic authorization failed.")
        return super().partitions_of(topics)


@pytest.fixture
def log() -> Guarded:
    log = Guarded()
    with_topics(log, ["imaging.instance.received", "imaging.instance.received.stat", BULK])
    return log


def test_the_service_does_not_start_where_it_may_not_read_what_has_arrived(tmp_path: Path, log: Guarded) -> None:
    (tmp_path / "radstream.toml").write_text(STORE + ONE + REST, encoding="utf-8")
    config = load(tmp_path / "radstream.toml")
    context = Context("commitment", config, Site(tenant="t", site="s"), log, MemoryStore(), SchemaIds())
    context.stopping.set()
    log.closed = True
    with pytest.raises(Stop, match=rf"topic {BULK}: TOPIC_AUTHORIZATION_FAILED.*\(ACL: Read\)"):
        main(context, config.section("commitment", Settings))


def test_a_log_that_is_away_at_the_start_is_waited_for(log: Guarded) -> None:
    log.away = True
    Arrivals(log).check()


def test_what_is_closed_later_is_logged_once_for_each_time(log: Guarded) -> None:
    arrivals = Arrivals(log)
    with captured() as said:
        for closed in (True, True, False, True):
            log.closed = closed
            if closed:
                with pytest.raises(Away):
                    arrivals.until(NOW)
            else:
                arrivals.until(NOW)
    assert said.getvalue().count("arrivals_refused") == 2
    assert BULK in said.getvalue()
