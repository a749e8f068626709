"""A step: a plain function from events to outcomes. The runner owns everything else.

A step never sees Kafka, offsets, retries or threads. Its outcomes are values; exceptions are for what nobody planned,
and the runner makes each a dead letter of the one record that raised it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from streams.clock import Clock
from streams.events import Event, InputRef, ObjectRef
from streams.log import TopicPartition
from streams.wire import Record

E = TypeVar("E", bound=Event, covariant=True)


@dataclass(frozen=True)
class Input(Generic[E]):
    """An event and the record it was read from."""

    event: E
    record: Record

    @property
    def ref(self) -> InputRef:
        return InputRef(
            topic=self.record.topic,
            topic_id=self.record.topic_id,
            partition=self.record.partition,
            offset=self.record.offset,
            event_id=self.event.meta.event_id,
        )


@dataclass(frozen=True)
class NewObject:
    """An object to create, if nothing has that key yet. `store` is the store's name in the configuration.

    `sha256` (hex) of `data`, where the caller knows it already.
    """

    tenant: str
    store: str
    key: str
    data: bytes | memoryview
    sha256: str | None = None


@dataclass(frozen=True)
class Stored:
    """What the store holds under a `NewObject`'s key: its bytes, or those of whoever was first."""

    ref: ObjectRef
    data: bytes | memoryview
    created: bool


@dataclass(frozen=True)
class Done:
    """Objects to put, then events to emit.

    `events` is called with what the store holds for each of `objects`, in their order: outputs may differ from run to
    run, and whoever loses the race emits what is stored.
    """

    objects: tuple[NewObject, ...] = ()
    events: Callable[[tuple[Stored, ...]], Sequence[Event]] = lambda _: ()

    @staticmethod
    def emit(*events: Event) -> Done:
        return Done(events=lambda _: events)


@dataclass(frozen=True)
class Quarantine:
    """The instance is at fault. `code` is a stable name, `detail` a sentence without patient data."""

    code: str
    detail: str


@dataclass(frozen=True)
class DeadLetter:
    """The record cannot be understood, or cannot be done. `reason` is a sentence without patient data.

    `beside` is said with it.
    """

    reason: str
    beside: Done = Done()


@dataclass(frozen=True)
class RetryLater:
    """The world is at fault.

    'subject': this one must wait; it is parked in the group's retry topic and the rest go on.
    'turn': another record is at work with what this one needs alone, and ends soon. It is parked too; once there, where
    nobody relies on order, it is tried again each second or so, until its turn has come; and, after some of these,
    parked anew, so that what is behind it in the partition gets by. That counts for `attempts_max`.
    'world': everybody must wait (the store is away); the partition waits in place, nothing is parked.

    Of a subject: `attempts_max` bounds how often it is parked, where the runner's own bound is not right for it, and
    spares it the quick tries before that. `meanwhile` is what can be said of it already; `given_up` is said beside
    its dead letter.
    """

    reason: str
    scope: Literal["subject", "turn", "world"] = "world"
    attempts_max: int | None = None
    meanwhile: Done = Done()
    given_up: Done = Done()


Outcome = Done | Quarantine | DeadLetter | RetryLater

C = TypeVar("C", bound=Event, contravariant=True)


class Step(Protocol[C]):
    """One outcome for each input, in their order. Called from several threads at once."""

    name: str

    def __call__(self, batch: Sequence[Input[C]], clock: Clock) -> Sequence[Outcome]: ...


@runtime_checkable
class Several(Protocol):
    """A step that is several in one process: their times are measured apart."""

    def part(self, event: Event) -> str:
        """The name of the step that such an event is for."""


class Projection(Protocol):
    """What writes the log into tables: a batch is one transaction, and a ledger in it says how far."""

    name: str

    def positions(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Next offset of each partition, as the ledger has it; absent means the beginning.

        Raises TopicChanged where the topic is not the one the ledger knew, Away.
        """

    def apply(self, batch: Sequence[Input[Event]], ends: Mapping[TopicPartition, int]) -> None:
        """Applies a batch, which may hold records of several partitions, and moves the ledger to `ends`.

        Both or neither. Raises LedgerMoved where the ledger is not where this member left it, Away where the
        database cannot be reached: the same batch is then applied again, in place, after a wait.
        """


class TopicChanged(Exception):
    """The topic was recreated: its id is not the one that is known. The consumer stops."""


class LedgerMoved(Exception):
    """Somebody else moved the ledger: a zombie, or a rebuild. Start again from the ledger."""


class Away(Exception):
    """What a projection writes to cannot be reached. Wait in place and try the same again."""
