"""Who may ask query and retrieve: by the peers file, as with the worklist; whoever is refused is in the audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.dimse.config import Settings
from streams.config import Site
from streams.events import AuditEvent
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.store_scu import Target
from streams.wire import decode
from tests.event_streams import SITE, TENANT, new_log
from tests.retrieves import running_retrieve
from tests.secured import associate, hospital, known, rejection
from tests.waiting import wait_until
from tests.worklists import NOWHERE

TODAY = datetime.now(UTC).date()


def exception(ae_title: str, days: int) -> str:
    until = TODAY + timedelta(days=days)
    return known(ae_title, f'plain = {{ address = "127.0.0.1", until = {until} }}')


def audited(log: MemoryLog) -> list[tuple[str, str, str]]:
    partition = TopicPartition("imaging.audit.event", 0)
    events = [decode(record) for record in log.read(partition, *log.bounds([partition])[partition])]
    return [(one.action, one.actor, one.attributes["why"]) for one in events if isinstance(one, AuditEvent)]


def test_an_exception_lets_one_title_in_until_its_day(tmp_path: Path) -> None:
    site, log = hospital(tmp_path, exception("VIEWER", 5), exception("OLD", -5)), new_log()
    with running_retrieve(NOWHERE, MemoryStore(), log, Site(tenant=TENANT, site=SITE), peers=site.peers) as client:
        target = Target("RADSTREAM", "127.0.0.1", client.port)
        association = associate(target, "VIEWER")
        assert association.is_established
        association.release()
        for calling_ae, source in (("OLD", "127.0.0.1"), ("NOBODY", "127.0.0.1"), ("VIEWER", "127.0.0.9")):
            assert rejection(target, calling_ae, source=source) == (1, 1, 3)
        assert client.door is not None
        client.door.look()
        refused = [("OLD", "exception_ended"), ("NOBODY", "calling_ae"), ("VIEWER", "plain")]
        wait_until(lambda: audited(log) == [("association.refused", *one) for one in refused], "the audit")


def test_other_machines_are_shown_nothing_without_a_peers_file() -> None:
    with pytest.raises(ValueError, match=r"name a peers file in peers.*host = \"127\.0\.0\.1\""):
        Settings(http_port=0, port=0, dsn="", host="0.0.0.0")  # noqa: S104
