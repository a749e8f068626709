"""One assigned partition: what was read of it, how far each record is, and up to where it may be committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from streams.gaps import no_gap
from streams.log import Delivery, TopicPartition
from streams.result import Result
from streams.stop import Stop
from streams.wire import Record


@dataclass(eq=False)
class Item:
    """A record on its way. `record` is as it was first read; `offset` is where this reading of it stands.

    `rank` is the urgency of its lane, 0 first.
    """

    record: Record
    offset: int
    rank: int = 0
    attempt: int = 0
    due_s: float = 0.0
    tries: int = 0
    running: bool = False
    result: Result | None = None
    sent: Sequence[Future[Delivery]] = ()
    sent_s: float = 0.0

    def acknowledged(self) -> bool:
        """Raises LogAway or LogRefused where a record made of this one was not acknowledged, whatever others wait."""
        ended = [future.result() for future in self.sent if future.done()]
        return len(ended) == len(self.sent)


def _any(_: Item) -> bool:
    return True


@dataclass(eq=False)
class Flow:
    """`ordered` flows send what their records became in the order of the records; a retry topic's need not.

    A `mixed` flow holds records of several lanes: the most urgent that waits is begun first, so what `ordered` says is
    kept for each key alone, which is all that anybody relies on (one study, one key; docs/decisions/0015).

    `rank` is the urgency of its lane, 0 first. `hold_s` is a monotonic time before which nothing new is begun: the
    world is waited for, for the reason `waits_for`, `waits` times in a row. `failed` says that the log did not
    acknowledge, `alive` that nobody has given it up.
    """

    name: TopicPartition
    rank: int = 0
    ordered: bool = True
    mixed: bool = False
    hold_s: float = 0.0
    waits: int = 0
    waits_for: str = ""
    paused: bool = False
    alive: bool = True
    failed: bool = False
    next_offset: int | None = None
    committed: int | None = None
    oldest_since_s: float = 0.0
    unsent: deque[Item] = field(default_factory=deque)
    unacknowledged: deque[Item] = field(default_factory=deque)

    def accept(self, item: Item) -> None:
        """Offsets follow one another: anything else would be committed over. Raises Stop."""
        no_gap(self.name, self.next_offset, item.offset)
        if self.next_offset is not None and item.offset < self.next_offset:
            raise Stop(
                f"{self.name.topic}/{self.name.partition}: offset {item.offset} came after {self.next_offset - 1}. "
                "Nothing of it was committed; start the service again and report this"
            )
        if self.committed is None:
            self.committed = item.offset
        self.next_offset = item.offset + 1
        self.unsent.append(item)

    def __len__(self) -> int:
        return len(self.unsent) + len(self.unacknowledged)

    def urgency(self, now_s: float, wanted: Callable[[Item], bool] = _any) -> int:
        """The rank of what would be begun now."""
        return next((item.rank for item in self.startable(now_s, wanted)), self.rank) if self.mixed else self.rank

    def startable(self, now_s: float, wanted: Callable[[Item], bool] = _any) -> Iterator[Item]:
        """In the order of the records, of those that are `wanted`; of a mixed flow the most urgent of these alone."""
        if now_s < self.hold_s:
            return iter(())
        waiting = (item for item in self.unsent if not item.running and item.result is None and item.due_s <= now_s)
        found = filter(wanted, waiting)
        return _most_urgent(list(found)) if self.mixed else found

    def running(self) -> bool:
        return any(item.running for item in self.unsent)

    def sendable(self) -> list[Item]:
        """Items with a result, whose turn it is."""
        ready = []
        waiting: set[bytes | None] = set()
        for item in self.unsent:
            if item.result is not None and item.record.key not in waiting:
                ready.append(item)
            elif self.ordered and not self.mixed:
                break
            elif self.ordered:
                waiting.add(item.record.key)
        return ready

    def sent(self, item: Item) -> None:
        self.unsent.remove(item)
        self.unacknowledged.append(item)

    def settle(self, now_s: float) -> None:
        """Lets go of what is acknowledged. Raises LogAway, LogRefused."""
        oldest = self.unacknowledged[0] if self.unacknowledged else None
        self._let_go()
        if self.unacknowledged and self.unacknowledged[0] is not oldest:
            self.oldest_since_s = now_s

    def _let_go(self) -> None:
        if self.ordered and not self.mixed:
            while self.unacknowledged and self.unacknowledged[0].acknowledged():
                self.unacknowledged.popleft()
        else:
            self.unacknowledged = deque(item for item in self.unacknowledged if not item.acknowledged())

    def waits_since(self) -> float:
        """Since when the oldest of what is not acknowledged has been that, monotonic seconds; never, where there is
        nothing. A log that takes one record after the other is slow, not away: given up, it would have more to do."""
        return max(self.unacknowledged[0].sent_s, self.oldest_since_s) if self.unacknowledged else float("inf")

    def finished(self) -> int | None:
        """The next offset to commit: everything before it is done and acknowledged. None before the first record.

        What was dropped is open too: `next_offset` is before it, and may be before what a retry topic still has open.
        """
        if self.next_offset is None:
            return None
        open_offsets = [item.offset for item in self.unacknowledged]
        if self.unsent:
            open_offsets.append(self.unsent[0].offset)
        return min([self.next_offset, *open_offsets])

    def drop_unstarted(self) -> None:
        """Forgets what nobody works on, and everything after it: whoever has the partition next reads it again."""
        kept: deque[Item] = deque()
        for item in self.unsent:
            if not item.running and item.result is None:
                self.next_offset = item.offset
                break
            kept.append(item)
        self.unsent = kept


def _most_urgent(items: list[Item]) -> Iterator[Item]:
    first = min((item.rank for item in items), default=0)
    return (item for item in items if item.rank == first)
