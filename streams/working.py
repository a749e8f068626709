"""From records to results, in the runner's threads: decode, call the step, put the objects, encode the events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from streams import metrics
from streams.deadletters import reason_of
from streams.events import Event, InstanceQuarantined, InstanceReceived, InstanceValidated, Meta
from streams.generation import StepIdentity
from streams.objects import Absent, StoreAway, StoreRefused
from streams.result import Dead, Emit, Halt, Result, Wait
from streams.sandbox.away import HelperAway
from streams.service import Context
from streams.sizes import EVENT_BYTES_MAX, size_of
from streams.step import DeadLetter, Done, Input, NewObject, Outcome, Quarantine, RetryLater, Several, Step, Stored
from streams.tracing import child_of
from streams.wire import Message, Record, Undecodable, UnknownSchema, decode, encode

# Of the events that a step makes of an instance, the quarantine is the second: the verdict itself is 0.
QUARANTINE_ORDINAL = 1


class _TooLarge(Exception):
    """An event that the log would not take."""


class Worker:
    """Used from several threads at once."""

    def __init__(self, context: Context, step: Step[Any], identity: StepIdentity) -> None:
        self._context = context
        self._step = step
        self._identity = identity

    def __call__(self, records: Sequence[Record]) -> list[Result]:
        """One result for each record, in their order."""
        decoded = [self._decoded(record) for record in records]
        inputs = [item for item in decoded if isinstance(item, Input)]
        # Of several steps in one process, each is called, and timed, alone.
        settled = iter([result for _, some in groupby(inputs, self._part) for result in self._settled(list(some))])
        return [next(settled) if isinstance(item, Input) else item for item in decoded]

    def _part(self, item: Input[Any]) -> str:
        return self._step.part(item.event) if isinstance(self._step, Several) else self._step.name

    def _decoded(self, record: Record) -> Input[Any] | Result:
        try:
            return Input(decode(record), record)
        except Undecodable as error:
            return Dead(str(error))
        except UnknownSchema as error:
            return _unknown(error)

    def _settled(self, inputs: list[Input[Any]]) -> list[Result]:
        try:
            with metrics.STEP_SECONDS.labels(self._part(inputs[0])).time():
                outcomes = self._step(inputs, self._context.clock)
        except Exception as error:  # noqa: BLE001 - whatever the step raises ends as an outcome of a record
            if len(inputs) == 1 or isinstance(error, StoreAway | HelperAway):
                return [_of_exception(error) for _ in inputs]
            # Which record it was is found by asking for each alone.
            return [result for item in inputs for result in self._settled([item])]
        if len(outcomes) != len(inputs):
            reason = f"step {self._step.name} gave {len(outcomes)} outcomes for {len(inputs)} inputs"
            return [Halt(f"{reason}: a fault of the step; nothing of it was committed") for _ in inputs]
        return [self._result(item, outcome) for item, outcome in zip(inputs, outcomes, strict=True)]

    def _result(self, item: Input[Any], outcome: Outcome) -> Result:
        try:
            return self._settle(item, outcome)
        except _TooLarge as error:
            return Dead(str(error))
        except Exception as error:  # noqa: BLE001 - as above
            return _of_exception(error)

    def _settle(self, item: Input[Any], outcome: Outcome) -> Result:
        match outcome:
            case DeadLetter(reason, beside):
                return Dead(reason, self._messages(item, beside))
            case RetryLater(reason, scope, attempts_max, meanwhile, given_up):
                return Wait(
                    reason, scope, attempts_max, self._messages(item, meanwhile), self._messages(item, given_up)
                )
            case Quarantine():
                return Emit(self._encoded(item, [self._quarantined(item, outcome)]), "quarantine")
            case Done():
                return Emit(self._messages(item, outcome), "done")

    def _messages(self, item: Input[Any], done: Done) -> tuple[Message, ...]:
        return self._encoded(item, done.events(tuple(self._created(new) for new in done.objects)))

    def _encoded(self, item: Input[Any], events: Sequence[Event]) -> tuple[Message, ...]:
        """Raises _TooLarge."""
        extra = child_of(item.record.headers)
        messages = tuple(encode(one, self._context.ids, source=self._context.source, extra=extra) for one in events)
        for message in messages:
            if (size := size_of(message)) > EVENT_BYTES_MAX:
                raise _TooLarge(f"its record for {message.topic} has {size} bytes; {EVENT_BYTES_MAX} is the most")
        return messages

    def _created(self, new: NewObject) -> Stored:
        stored = self._context.store.create(new)
        metrics.OBJECTS.labels(new.store, "created" if stored.created else "already_there").inc()
        if stored.created:
            metrics.OBJECT_BYTES.labels(new.store).inc(len(new.data))
        return stored

    def _quarantined(self, item: Input[Any], outcome: Quarantine) -> InstanceQuarantined:
        event = item.event
        if not isinstance(event, InstanceReceived | InstanceValidated):
            raise TypeError("only an instance with an object can be quarantined")
        digest = event.instance.digest
        return InstanceQuarantined(
            meta=Meta(
                event_id=self._identity.event_id(event.meta.tenant, digest, QUARANTINE_ORDINAL),
                tenant=event.meta.tenant,
                site=event.meta.site,
                lane=event.meta.lane,
                subject=digest,
                occurred_at=self._context.clock.now(),
            ),
            provenance=self._identity.provenance(item),
            instance=event.instance,
            object=event.object,
            code=outcome.code,
            detail=outcome.detail,
        )


def _of_exception(error: Exception) -> Result:
    """Absent means wait or restore, never quarantine."""
    if isinstance(error, StoreAway):
        return Wait("the object store does not answer", "world")
    if isinstance(error, HelperAway):
        return Wait(str(error), "world")
    if isinstance(error, UnknownSchema):
        # Of what the step looks up in the log: no fault of the record that it looks it up for.
        return _unknown(error)
    if isinstance(error, Absent):
        return Wait("an object that the record refers to is not there", "subject")
    if isinstance(error, StoreRefused):
        return Dead(str(error))
    return Dead(reason_of(error))


def _unknown(error: UnknownSchema) -> Halt:
    return Halt(f"{error} is not known to this version of radstream; install a newer one")
