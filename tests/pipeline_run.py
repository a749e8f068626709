"""A load sent through a whole stack, and what must be true of it in the end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from consumers.catalog.checksum import Checksum, checksum
from consumers.catalog.config import Settings as Catalog
from consumers.catalog.counts import open_work
from consumers.catalog.database import snapshot
from producers.dicom_router.config import Settings as Router
from producers.dicom_router.spool.census import census
from radstream.flow import Flow, Gauge
from radstream.items import Item
from radstream.sending import SUCCESS, SendResult, Sent, send_items
from schemas import load_topics
from streams.config import Kafka, Store
from streams.events import InstanceReceived, ObjectRef
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.objects import Absent, Damaged
from streams.s3 import S3Store
from streams.store_scu import Target
from streams.stored_file import stored_file
from streams.wire import decode
from tests.running_stack import RunningStack

# A part that was killed is back within half a minute; a sender that gives up before proves nothing.
RETRIES = 60
SETTLED_S_MAX = 600.0


def router_of(stack: RunningStack) -> Target:
    return Target("RADSTREAM", "127.0.0.1", stack.ports["router"])


class Load:
    """Items on their way, sent by a thread of their own. `acknowledged` grows as answers of 0x0000 come."""

    def __init__(self, stack: RunningStack, items: Sequence[Item], associations: int = 4) -> None:
        self._items = {item.name: item for item in items}
        self.acknowledged: list[Item] = []
        self._more = threading.Condition()
        self._pool = ThreadPoolExecutor(1)
        self._result = self._pool.submit(
            send_items, items, router_of(stack), associations=associations, retries=RETRIES, on_sent=self._sent
        )

    def _sent(self, sent: Sent) -> None:
        with self._more:
            if sent.status == SUCCESS:
                self.acknowledged.append(self._items[sent.name])
            self._more.notify_all()

    def wait_for(self, count: int, deadline_s: float = 300.0) -> None:
        """Until so many are acknowledged, or the sender has ended."""
        with self._more:
            reached = self._more.wait_for(lambda: len(self.acknowledged) >= count or self._result.done(), deadline_s)
        assert reached, f"only {len(self.acknowledged)} of {count} acknowledged in {deadline_s:g} s"

    def finish(self, deadline_s: float = 600.0) -> SendResult:
        try:
            return self._result.result(deadline_s)
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)


def settled(stack: RunningStack, within_s: float = SETTLED_S_MAX) -> Flow:
    """Waits until every group has read everything, no work is open, and every study has its backup: a group that has
    read a record may still have to act on it, as tiering and the revisions do.

    Fails with what is left.
    """
    log = KafkaLog(stack.config.section("kafka", Kafka))
    todo: dict[str, int] = {}

    def is_done() -> bool:
        todo.clear()
        todo.update({what: count for what, count in _to_do(stack).items() if count})
        return not todo

    flow = Gauge(log).wait_until_still(is_done, within_s)
    assert flow.is_still, f"still waiting after {within_s:g} s: {flow.lag}"
    assert not todo, f"still to do after {within_s:g} s: {todo}"
    return flow


def _to_do(stack: RunningStack) -> dict[str, int]:
    with snapshot(stack.config.section("catalog", Catalog).dsn) as cursor:
        found = cursor.execute(
            "SELECT count(*) FROM current_revisions r LEFT JOIN study_tiers t USING (tenant, study_uid) "
            "WHERE coalesce(t.objects, 0) < r.instance_count"
        ).fetchone()
        behind = int(found[0]) if found else 0
        return {**open_work(cursor), "on the spool": on_the_spool(stack), "studies without a backup": behind}


def on_the_spool(stack: RunningStack) -> int:
    """How many instances are acknowledged and neither in the store nor in the log yet."""
    folder = stack.config.section("router", Router).spool.folder
    return len(census(folder).waiting) if folder else 0


def announced(stack: RunningStack, study: str) -> list[InstanceReceived]:
    """What the log says was received of a study, in order of topic, partition and offset."""
    log = KafkaLog(stack.config.section("kafka", Kafka))
    events = []
    for topic in load_topics().physical("imaging.instance.received"):
        for number in range(log.partitions(topic)):
            partition = TopicPartition(topic, number)
            first, end = log.bounds([partition])[partition]
            events += [decode(record) for record in log.read(partition, first, end)]
    return [event for event in events if isinstance(event, InstanceReceived) and event.instance.study_uid == study]


def catalog_checksum(stack: RunningStack) -> Checksum:
    with snapshot(stack.config.section("catalog", Catalog).dsn) as cursor:
        return checksum(cursor)


def lost(stack: RunningStack, acknowledged: Sequence[Item]) -> list[str]:
    """The acknowledged items that are not in the store, byte for byte, under a key with their hash."""
    store = S3Store(stack.config.section("store", Store))
    keys = {key.rpartition("/")[2].removesuffix(".dcm"): key for key, _ in store.keys("hot", "")}
    missing = []
    for item in acknowledged:
        file = stored_file(item.sop_class, item.sop_instance, item.transfer_syntax, item.data_set())
        digest = hashlib.sha256(file).hexdigest()
        if digest not in keys or not is_whole(store, keys[digest], len(file), digest):
            missing.append(item.name)
    return missing


def is_whole(store: S3Store, key: str, size: int, digest: str) -> bool:
    try:
        store.read(ObjectRef(tenant="", store="hot", key=key, length=size, size=size, sha256=digest))
    except (Absent, Damaged):
        return False
    return True


def run(stack: RunningStack, items: Sequence[Item], disturb: Callable[[Load], None]) -> Checksum:
    """Sends, disturbs, waits until all is still; asserts that nothing acknowledged is lost."""
    load = Load(stack, items)
    disturb(load)
    result = load.finish()
    assert result.statuses == {"0000": len(items)}, result
    settled(stack)
    assert lost(stack, load.acknowledged) == []
    return catalog_checksum(stack)
