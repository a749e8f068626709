"""Decision steps: what depends on time, or on several inputs. Their output is their state.

A decision is `(entity, seq, covers)` in a topic that is partitioned like the inputs. It counts when it is read back,
and the first `(entity, seq)` of a partition wins, so that a zombie's decision and a second try after a crash are
harmless. Here is the bookkeeping of one partition number, without a log; `streams.deciding` is the runner. It runs any
kind of step that has a `State`, a `Reading` and an `Acting`; `DecisionStep` is the kind that waits for quiet.

Memory: about 250 bytes for each entity ever decided, and about 500 for each input that waits for a decision, plus 1 kB
for its entity; a test measures it. A study of 2,000 images that waits takes 1 MB.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from streams.clock import Clock
from streams.events import Event, InputRef
from streams.log import TopicPartition
from streams.step import Done, Input
from streams.wire import Headers, Record

I = TypeVar("I", bound=Event, contravariant=True)  # noqa: E741
D = TypeVar("D", bound=Event, contravariant=True)
N = TypeVar("N")


@dataclass(frozen=True)
class Decided:
    """What the bookkeeping needs of a decision. `covers` is by topic id: the last input offset that it has seen."""

    entity: str
    seq: int
    covers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Noted(Generic[N]):
    """An input that no decision covers yet; `note` is all that the step wants to know of it later."""

    partition: TopicPartition
    topic_id: str
    offset: int
    note: N

    def is_covered_by(self, covers: Mapping[str, int]) -> bool:
        return covers.get(self.topic_id, -1) >= self.offset


@dataclass
class Waiting(Generic[N]):
    """What waits for one entity's next decision. `newest` is the last input of each topic, `headers` of the last."""

    inputs: list[Noted[N]]
    last_seen_s: float
    newest: dict[str, InputRef] = field(default_factory=dict)
    headers: Headers = ()


class State(Protocol):
    """What a decision step knows of one partition number. `position` is the next offset of the output to fold in."""

    position: int

    @property
    def known(self) -> int:
        """Of how many entities something is known."""

    @property
    def waiting_inputs(self) -> int:
        """How many inputs are kept until a decision covers them."""

    def starts(self, committed: Mapping[TopicPartition, int | None]) -> Mapping[TopicPartition, int | None]:
        """Where each input is to be read from; None is its beginning."""

    def skip(self, partition: TopicPartition, offset: int) -> None:
        """Takes an input that needs no decision: it concerns no entity, or is a dead letter by now."""

    def committable(self) -> dict[TopicPartition, int]:
        """How far each input's partition may be committed."""


S = TypeVar("S", bound=State)
A = TypeVar("A", bound=State, contravariant=True)


class Reading(Protocol[S]):
    """How a kind of decision step comes to know. `topic` is the physical topic of its output."""

    topic: str

    def partition(self, number: int) -> TopicPartition: ...

    def load(self, number: int) -> S:
        """The state at the end of the output. Raises Stop, OffsetOutOfRange, UnknownSchema, LogAway, StoreAway."""

    def fold(self, state: S, record: Record) -> bool:
        """Takes one record of the output; whether it counts. Raises Stop, UnknownSchema."""

    def read(self, state: S, record: Record) -> None:
        """Takes one input. Raises UnknownSchema; whatever else it raises makes the record a dead letter."""

    def save(self, number: int, state: S) -> None:
        """Saves a checkpoint when enough was folded since the last one."""


class Acting(Protocol[A]):
    """How a kind of decision step decides. Nothing in it may take long: the group is to be served."""

    @property
    def busy(self) -> bool:
        """Whether something is under way of whose end no record tells."""

    def decide(self, states: Mapping[int, A]) -> None:
        """Makes the decisions that are due, or sees to it that they are made. Raises Stop, UnknownSchema."""

    def collect(self) -> None:
        """Looks after what was sent. Raises Stop, LogRefused."""

    def hold(self, part: str, error: Exception) -> None:
        """Decides nothing for a while: a part is away."""

    def close(self) -> None: ...


class DecisionStep(Protocol[I, D, N]):
    """A step over entities that decides when they are quiet. `reads` and `writes` are logical topics."""

    name: str
    reads: str
    writes: str
    quiet_s: float

    def entity(self, event: I) -> str | None:
        """What the input is about, or None where it concerns no decision."""

    def note(self, event: I) -> N:
        """What is kept of the input in memory."""

    def decided(self, event: D) -> Decided: ...

    def decide(self, waiting: Waiting[N], last: Input[D] | None, clock: Clock) -> Done | None:
        """The entity's next decision, one event, after it was quiet for `quiet_s`; None where there is nothing new.

        `last` is the decision that counts now. Raises StoreAway; Absent and Damaged of objects that `last` refers to.
        """


class Gap(Exception):
    """A decision's number does not follow the last one: the output is not what this step wrote. The consumer stops."""


class Settling:
    """How far the inputs of one topic's partition are settled: decided on, or found to need no decision."""

    def __init__(self) -> None:
        self._open: list[int] = []
        self._settled: set[int] = set()
        self._next: int | None = None

    def read(self, offset: int) -> None:
        heapq.heappush(self._open, offset)
        self._next = offset + 1

    def settle(self, offset: int) -> None:
        self._settled.add(offset)
        while self._open and self._open[0] in self._settled:
            self._settled.discard(heapq.heappop(self._open))

    @property
    def committable(self) -> int | None:
        """The next offset to read after a crash, or None where nothing was read."""
        return self._open[0] if self._open else self._next


class Entities(Generic[N]):
    """One partition number: what was decided, what waits, what is under way.

    `decided` maps an entity to its last number and that decision's offset in the output; `position` is the next offset
    of the output to fold in.
    """

    def __init__(self, decided: dict[str, tuple[int, int]] | None = None, position: int = 0) -> None:
        self.decided = {} if decided is None else decided
        self.position = position
        self.waiting: dict[str, Waiting[N]] = {}
        self.in_flight: set[str] = set()
        self._settling: dict[TopicPartition, Settling] = {}

    @property
    def known(self) -> int:
        return len(self.decided)

    @property
    def waiting_inputs(self) -> int:
        return sum(len(waiting.inputs) for waiting in self.waiting.values())

    def starts(self, committed: Mapping[TopicPartition, int | None]) -> Mapping[TopicPartition, int | None]:
        """Inputs go back to where the group committed them: what was read since is not in the state."""
        return committed

    def fold(self, decided: Decided, offset: int) -> bool:
        """Takes one record of the output, in order. True where it counts, False for a later one of the same number.

        Raises Gap.
        """
        last = self.decided.get(decided.entity, (0, -1))[0]
        self.position = offset + 1
        if decided.seq > last + 1:
            raise Gap(f"offset {offset} holds number {decided.seq} where {last + 1} is the next")
        if decided.seq <= last:
            return False
        self.decided[decided.entity] = (decided.seq, offset)
        self.in_flight.discard(decided.entity)
        self.settle_covered(decided)
        return True

    def read(self, entity: str, noted: Noted[N], ref: InputRef, headers: Headers, now_s: float) -> None:
        """Takes one input, in the order of its partition."""
        self._settling_of(noted.partition).read(noted.offset)
        waiting = self.waiting.setdefault(entity, Waiting([], now_s))
        waiting.inputs.append(noted)
        waiting.last_seen_s, waiting.headers = now_s, headers
        waiting.newest[noted.partition.topic] = ref

    def skip(self, partition: TopicPartition, offset: int) -> None:
        settling = self._settling_of(partition)
        settling.read(offset)
        settling.settle(offset)

    def _settling_of(self, partition: TopicPartition) -> Settling:
        return self._settling.setdefault(partition, Settling())

    def due(self, now_s: float, quiet_s: float) -> list[str]:
        """Entities that were quiet for long enough and of which no decision is under way."""
        return [
            entity
            for entity, waiting in self.waiting.items()
            if entity not in self.in_flight and now_s - waiting.last_seen_s >= quiet_s
        ]

    def settle_covered(self, decided: Decided) -> None:
        """Drops the inputs of an entity that a decision covers."""
        waiting = self.waiting.get(decided.entity)
        if waiting is None:
            return
        covered = [noted for noted in waiting.inputs if noted.is_covered_by(decided.covers)]
        self._settle(*covered)
        waiting.inputs = [noted for noted in waiting.inputs if not noted.is_covered_by(decided.covers)]
        if not waiting.inputs:
            del self.waiting[decided.entity]

    def settle_all(self, entity: str) -> None:
        """Drops an entity's inputs: they hold nothing that is not decided already."""
        self._settle(*self.waiting.pop(entity).inputs)

    def _settle(self, *done: Noted[N]) -> None:
        for noted in done:
            self._settling[noted.partition].settle(noted.offset)

    def committable(self) -> dict[TopicPartition, int]:
        ends = ((name, settling.committable) for name, settling in self._settling.items())
        return {name: end for name, end in ends if end is not None}
