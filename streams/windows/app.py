"""The Faust app: a table of counts in tumbling windows, by topic, lane and modality.

What is peculiar to Faust 0.15.3 stays in this file: it makes no topic (topics.yaml does), has no web server, and its
table is read by key. Its `on_window_close` is not used: it passes over every partition's window but the first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faust

from schemas import load_topics
from streams.config import Kafka
from streams.windows.counts import Count, Key, Place, total
from streams.windows.credentials import credentials
from streams.windows.receipts import Receipts, modality_of
from streams.wire import Record, Undecodable, UnknownSchema, decode

APP = "windows"  # also the consumer group
CHANGELOG = "imaging.window.changelog"
WINDOW_S = 10
# A record may come a little after its window has ended.
GRACE_S = 3
_WAIT_S = 1.0
_EXPIRES_S = 120
# RocksDB's own are for servers that do nothing else: 2 GiB of cache for each partition.
_ROCKSDB = {"driver": "rocksdict", "block_cache_size": 1 << 20, "write_buffer_size": 1 << 20, "ttl": 3600}


class Windows:
    """One life of the app: it cannot be started again once it has stopped."""

    def __init__(self, kafka: Kafka, folder: Path, partitions: int) -> None:
        self.app = faust.App(
            APP,
            broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap.split(",")],
            broker_credentials=credentials(kafka.properties),
            store="rocksdb://",
            datadir=str(folder),
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            # What was written before anybody looked is nobody's question.
            consumer_auto_offset_reset="latest",
            broker_check_crcs=True,
            table_cleanup_interval=10.0,
        )
        topics = load_topics()
        self._receipts = Receipts()
        changelog = self._changelog(partitions)
        self._table: Any = self.app.Table(
            "counts", default=list, partitions=partitions, changelog_topic=changelog, options=dict(_ROCKSDB)
        )
        self._windows = self._table.tumbling(WINDOW_S, expires=_EXPIRES_S)
        # tumbling() forgets it, and would take a topic with a name of Faust's own.
        self._table.changelog_topic = changelog
        self._keys: dict[str, float] = {}
        self._table.on_recover(self._recall)
        self._topics: set[str] = set()
        for entry, topic in topics.topics.items():
            if topic.kind == "instance":
                self._read(entry, topics.physical(entry))

    def _changelog(self, partitions: int) -> Any:
        return self.app.topic(
            CHANGELOG,
            partitions=partitions,
            key_serializer="json",
            value_serializer="json",
            internal=True,
            acks=False,
            allow_empty=True,
        )

    def _read(self, entry: str, names: Sequence[str]) -> None:
        """An agent of its own for each logical topic: one may wait a moment for what another is about to read."""
        self._topics.update(names)
        source = self.app.topic(*names, key_serializer="raw", value_serializer="raw", allow_empty=True)
        self.app.agent(source, name=f"count.{entry}")(self._count)

    async def _recall(self) -> None:
        """A restart within a window goes on with what was counted."""
        self._keys |= {text: time.monotonic() for text, _ in self._table.data}

    async def _count(self, stream: Any) -> None:
        async for event in stream.events():
            await self._take(event.message)

    async def _take(self, message: Any) -> None:
        """Counts one record, in the window of its timestamp. Called while Faust has it as the current event."""
        try:
            event = decode(_record(message))
        except (Undecodable, UnknownSchema):
            return
        # By the record's own age: whoever is behind never waits.
        receipt = await self._receipts.awaited(event, message.timestamp + _WAIT_S)
        latency_s = None if receipt is None else message.timestamp - receipt.at.timestamp()
        topic = load_topics().logical(message.topic)
        key = Key(message.partition, topic, event.meta.lane, modality_of(event, receipt)).text()
        self._windows[key] = list(Count(*self._windows[key].value()).plus(latency_s))
        self._keys[key] = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Whether it has partitions of every topic, and what it knew of them."""
        assigned = {partition.topic for partition in self.app.consumer.assignment()}
        return self._topics <= assigned and not self.app.rebalancing and not self.app.in_recovery

    def last_whole(self, now_s: float) -> tuple[float, Mapping[Place, Count]]:
        """Start (Unix time) of the last whole window, and its counts by topic, lane and modality."""
        start_s = (now_s - GRACE_S) // WINDOW_S * WINDOW_S - WINDOW_S
        counts: dict[Place, list[Count]] = {}
        for text in list(self._keys):
            found = self._table.get((text, self._table.window.current(start_s)))
            if found:
                counts.setdefault(Key.of(text).place, []).append(Count(*found))
        self._forget()
        return start_s, {place: total(listed) for place, listed in counts.items()}

    def _forget(self) -> None:
        """Rows that were not written for as long as windows are kept."""
        before_s = time.monotonic() - _EXPIRES_S
        self._keys = {text: at_s for text, at_s in self._keys.items() if at_s > before_s}


def _record(message: Any) -> Record:
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return Record(
        topic=message.topic,
        topic_id="",
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=int(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(headers),
    )
