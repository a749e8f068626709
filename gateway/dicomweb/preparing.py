"""Headers of images that have just arrived, read before anybody asks: who opens a study waits for none of them.

They are read and checked as for a request, and kept by the digest of their file. That says nothing of who may see them,
which each request asks. What is not prepared is read when it is asked for (docs/decisions/0072).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.dicomweb.heads import Heads
from gateway.reading import Blob
from gateway.workers import apart
from schemas import Lane, load_topics
from streams.events import SUBJECTS, InstanceValidated
from streams.log import Log, LogAway, LogRefused, TopicPartition
from streams.objects import StoreAway
from streams.wire import Record, Undecodable, UnknownSchema, decode

LOOK_S: Final = 2.0
# Until a log that refuses is asked again: a person has to allow it, and each time the broker notes a denial.
REFUSED_S: Final = 60.0
# Of one partition at one look; the next one has the rest.
_RECORDS_MAX: Final = 1000
_AT_ONCE: Final = 20
# A night of backfill is nobody's next study.
_LANES: Final[tuple[Lane, ...]] = ("stat", "routine")


@dataclass(frozen=True)
class Arrived:
    """An image that validate let pass. `proof` is what its header is checked by (`streams.part10.metadata_sha256`)."""

    blob: Blob
    transfer_syntax: str
    proof: str

    @property
    def digest(self) -> str:
        return self.blob.digest


class Preparing:
    """For one event loop. At most `per_s_max` images a second, none if it is 0, and the newest `waiting_max` wait."""

    def __init__(
        self,
        log: Log,
        heads: Heads,
        tenant: str,
        per_s_max: int,
        waiting_max: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._heads, self._tenant, self._per_s_max, self._sleep = heads, tenant, per_s_max, sleep
        self._arrivals = Arrivals(log, waiting_max)
        self._waiting: deque[Arrived] = deque(maxlen=waiting_max)
        # Why the log refuses; empty where it does not.
        self._refused = ""

    async def run(self) -> None:
        """Until it is cancelled. Whatever goes wrong, requests are answered without it."""
        while self._per_s_max:
            await self._sleep(await self._looked())

    async def _looked(self) -> float:
        """Looks once; how long to wait until the next time (seconds)."""
        try:
            await self.once()
        except LogRefused as error:
            self._say(str(error))
            return REFUSED_S
        except (LogAway, StoreAway):
            pass
        except Exception as error:  # noqa: BLE001 - requests are answered without it
            structlog.get_logger().warning("preparing_failed", kind=type(error).__name__)
        else:
            self._say("")
        return LOOK_S

    def _say(self, refused: str) -> None:
        """Once for each change. The text is our own: a topic, and the name of an error."""
        before, self._refused = self._refused, refused
        if refused and refused != before:
            structlog.get_logger().warning("preparing_refused", reason=refused, again_s=REFUSED_S)
        elif before and not refused:
            structlog.get_logger().info("preparing_allowed")

    async def once(self) -> None:
        """What has arrived since the last time, and for a while what waits. Raises LogAway, LogRefused, StoreAway."""
        # Apart: a log that is away keeps nobody else waiting, and nobody who stops.
        self._waiting.extend(await apart(lambda: list(self._arrived())))
        for _ in range(max(1, round(LOOK_S * self._per_s_max / _AT_ONCE))):
            if not self._waiting:
                return
            some = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            await self._heads.prepare(some, {one.digest: one.proof for one in some})
            await self._sleep(len(some) / self._per_s_max)

    def _arrived(self) -> Iterator[Arrived]:
        for record in self._arrivals.news():
            try:
                event = decode(record)
            except (Undecodable, UnknownSchema):
                continue  # Whoever consumes it says so.
            if (
                isinstance(event, InstanceValidated)
                and event.meta.tenant == self._tenant
                and event.metadata_sha256 is not None
            ):
                yield Arrived(Blob((event.object,)), event.instance.transfer_syntax_uid, event.metadata_sha256)


class Arrivals:
    """Where it is in the log: at its end, when it begins. For one thread."""

    def __init__(self, log: Log, behind_max: int) -> None:
        self._log, self._behind_max = log, behind_max
        self._at: dict[TopicPartition, int] = {}

    def news(self) -> Iterator[Record]:
        """What was written since the last time, of each partition the newest. Raises LogAway, LogRefused."""
        bounds = self._log.bounds(self._at or self._partitions())
        if not self._at:
            self._at = {name: end for name, (_, end) in bounds.items()}
            return
        behind: dict[TopicPartition, int] = {}
        for name, (first, end) in bounds.items():
            # A topic that was made anew ends before.
            at = self._at[name] = min(end, max(self._at[name], first, end - self._behind_max))
            if at < end:
                behind[name] = at
        for name, records in self._log.heads(behind, _RECORDS_MAX).items():
            if records:
                self._at[name] = records[-1].offset + 1
                yield from records

    def _partitions(self) -> list[TopicPartition]:
        topics = load_topics()
        names = [topics.in_lane(SUBJECTS[InstanceValidated], lane) for lane in _LANES]
        counts = self._log.partitions_of(names)
        return [TopicPartition(name, number) for name in names for number in range(counts[name])]
