"""The end of the log, looked at once for all who listen; and what a listener missed, read for it alone.

Nobody is told twice and nobody misses anything: a listener is put on the list at a position, reads what lies between
its own and that one, and is then told what the feed reads from there on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.live.position import Positions
from gateway.live.telling import Told, told, topics
from gateway.workers import Workers, apart
from streams.log import Log, LogAway, LogRefused, OffsetOutOfRange, TopicPartition

# How often the end of the log is looked at, while somebody listens.
_LOOK_S = 0.5
# What a listener may lag behind before it is let go: it comes back with its last id and reads the rest.
_WAITING_MAX = 1000
# What a listener may have missed; of more it is told to read the study anew.
MISSED_MAX = 10_000
# Records that are in memory at once, of all partitions: an id is of all of them, and has two kilobytes.
_AT_ONCE = 1000


@dataclass(frozen=True)
class Entry:
    """One record that is told; `id` is the position behind it."""

    id: str
    told: Told


@dataclass(eq=False)
class Listener:
    """`position` is where the feed was when it was put on the list. Nothing comes any more when it `has_ended`; None
    in `entries` wakes who waits for it."""

    position: Mapping[TopicPartition, int]
    has_ended: bool = False
    entries: asyncio.Queue[Entry | None] = field(default_factory=lambda: asyncio.Queue(_WAITING_MAX))


class Feed:
    """Used in one event loop. It costs nothing while nobody listens."""

    def __init__(self, log: Log, workers: Workers, tenant: str) -> None:
        self._log, self._workers, self._tenant = log, workers, tenant
        self._names = topics()
        self._listeners: set[Listener] = set()
        self._positions: Positions | None = None
        self._at: dict[TopicPartition, int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    async def listen(self) -> Listener:
        """Puts a listener on the list, at the end of the log. Raises LogAway, LogRefused."""
        async with self._beginning:
            if self._looking is None or self._looking.done():
                self._positions, self._at = await self._workers.run(self._end)
                self._looking = asyncio.create_task(self._look())
            listener = Listener(dict(self._at))
            self._listeners.add(listener)
            return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    @property
    def here(self) -> str:
        """The id of where the feed is: of a listener that has been told all that waited for it."""
        return self.positions.id_of(self._at)

    @property
    def positions(self) -> Positions:
        """Of the log as it was when the feed began."""
        assert self._positions is not None  # noqa: S101 - a listener has been put on the list
        return self._positions

    async def missed(
        self, start: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int], study: str | None
    ) -> AsyncIterator[Entry | None]:
        """What lies between two positions, of one study or of all; None where it, or the rest of it, is not there any
        more, or too much. Raises LogAway."""
        left = sum(end[name] - start[name] for name in end)
        if left > MISSED_MAX or any(start[name] > end[name] for name in end):
            yield None
            return
        at = dict(start)
        try:
            while at != end:
                at, some = await self._workers.run(lambda at=at: self._some(at, end, study))  # type: ignore[misc]
                for entry in some:
                    yield entry
        except (OffsetOutOfRange, LogRefused):
            yield None

    def _end(self) -> tuple[Positions, dict[TopicPartition, int]]:
        counts = self._log.partitions_of(self._names)
        names = [TopicPartition(topic, number) for topic in self._names for number in range(counts[topic])]
        ids = {topic: self._log.topic_id(topic) for topic in self._names}
        return Positions(names, ids), {name: end for name, (_, end) in self._log.bounds(names).items()}

    def _some(
        self, start: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int], study: str | None = None
    ) -> tuple[dict[TopicPartition, int], list[Entry]]:
        """What comes next before `end`, and the position behind it: one partition after the other, since a study is in
        one, and so told in its own order."""
        at, left, found = dict(start), _AT_ONCE, list[Entry]()
        for name in end:
            until = min(end[name], at[name] + left)
            if until == at[name]:
                continue
            left -= until - at[name]
            for record in self._log.read(name, at[name], until):
                at[name] = record.offset + 1
                if (said := told(record, self._tenant)) is not None and study in (None, said.study_uid):
                    found.append(Entry(self.positions.id_of(at), said))
            at[name] = until
        return at, found

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self._once()
            except LogAway:
                # What is not told now is told when the log is back.
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody is to wait for what does not come
                structlog.get_logger().error("feed_stopped", kind=type(error).__name__)
                break
        for listener in tuple(self._listeners):
            self._end_of(listener)

    async def _once(self) -> None:
        # Apart: one look at a time, and who stops waits for none.
        bounds = await apart(lambda: self._log.bounds(self.positions.partitions))
        end = {name: max(bounds[name][1], self._at[name]) for name in self._at}
        while self._at != end:
            self._at, entries = await apart(lambda: self._some(self._at, end))
            for listener in tuple(self._listeners):
                self._tell(listener, entries)

    def _tell(self, listener: Listener, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if listener.entries.full():
                self._end_of(listener)
                break
            listener.entries.put_nowait(entry)

    def _end_of(self, listener: Listener) -> None:
        """Lets a listener go: it is told what waits for it, and no more."""
        self._listeners.discard(listener)
        listener.has_ended = True
        if not listener.entries.full():
            listener.entries.put_nowait(None)
