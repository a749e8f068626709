"""A member of a group for as long as a service runs: where its client gave itself up, another one joins.

A broker that cannot write `__consumer_offsets` (its disk was full) answers everything else, and refuses whoever joins
with an unknown error, which librdkafka takes for final (KIP-848: the group's heartbeat). A service that ended on it
would end again at each start, with nothing left to say why. This one says it in /readyz and goes on trying.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from streams.backoff import Backoff
from streams.keeping import GROUP, Keeping
from streams.log import ClientOver, Consumer, Fenced, LogRefused, OnAssign, OnRevoke, TopicPartition
from streams.service import Context
from streams.wire import Record

# A new client hears within this whether it is a member: the first heartbeat goes out at once.
_HEARD_S: Final = 5.0
_AGAIN: Final = Backoff(0.5, 5.0)


class LastingConsumer:
    """Implements `streams.log.Consumer`. Without a client there is nothing to read, and no partition is held."""

    def __init__(
        self,
        context: Context,
        group: str,
        topics: Sequence[str],
        on_assign: OnAssign,
        on_revoke: OnRevoke,
        *,
        co_partitioned: bool,
    ) -> None:
        self._group, self._topics, self._co_partitioned = group, topics, co_partitioned
        self._context = context
        self._on_assign, self._on_revoke = on_assign, on_revoke
        self._held: set[TopicPartition] = set()
        self._keeping = Keeping(context.health, context.clock, GROUP)
        self._tries = 0
        self._next_s = 0.0
        self._opened_s = 0.0
        self._consumer: Consumer | None = self._opened()

    def _opened(self) -> Consumer:
        self._opened_s = self._context.clock.monotonic()
        return self._context.log.consumer(
            self._group, self._topics, self._assigned, self._revoked, co_partitioned=self._co_partitioned
        )

    def poll(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        """As a consumer does, but for ClientOver: then nothing is there to read until a new client is a member."""
        if self._consumer is None:
            if (left_s := self._next_s - self._context.clock.monotonic()) > 0:
                self._context.stopping.wait(min(left_s, timeout_s))
                return ()
            self._consumer = self._opened()
        try:
            records = self._consumer.poll(records_max, timeout_s)
        except ClientOver as error:
            self._give_up(error)
            return ()
        if self._tries and (records or self._has_heard()):
            self._tries = 0
            self._keeping.kept()
        return records

    def _has_heard(self) -> bool:
        return self._context.clock.monotonic() - self._opened_s > _HEARD_S

    def _give_up(self, error: ClientOver) -> None:
        """Whoever has the partitions next, this service or another, begins at what was committed."""
        over, self._consumer = self._consumer, None
        self._tries += 1
        self._next_s = self._context.clock.monotonic() + _AGAIN.delay_s(self._tries)
        structlog.get_logger().warning("left_the_group", group=self._group, reason=str(error), times=self._tries)
        self._keeping.failed(error)
        if over is not None:
            # It is no member, so what it says of its leaving is old.
            with suppress(LogRefused):
                over.close()
        if self._held:
            self._revoked(sorted(self._held), True)

    # Callbacks of the client.

    def _assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        starts = self._on_assign(partitions)
        self._held.update(partitions)
        return starts

    def _revoked(self, partitions: Sequence[TopicPartition], lost: bool) -> None:
        """Of a client that is over nothing can be committed any more, whatever it says of it."""
        self._held.difference_update(partitions)
        self._on_revoke(partitions, lost or self._consumer is None)

    # What a member does with what it holds: nothing, without a client.

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        if self._consumer is not None:
            self._consumer.pause(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        if self._consumer is not None:
            self._consumer.resume(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if self._consumer is not None:
            self._consumer.seek(partition, offset)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises Fenced without a client, and else as a consumer does."""
        if self._consumer is None:
            raise Fenced(f"commit of group {self._group}: no member of it")
        self._consumer.commit(offsets)

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
