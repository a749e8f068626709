"""The step that tells the RIS of performed steps: each N-CREATE and N-SET, in their order, as the modality sent it.

Delivery is at least once: after a crash, or an answer that was lost, the RIS is told again. A step that it has already,
or has as final, is then what was to be (docs/decisions/0043). What it refuses for good is a dead letter, and audited.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import structs

from consumers.forward.ris import Answer, Ris
from consumers.forward.ris_answers import judged
from streams import metrics
from streams.attribute_lists import AttributeList, Unwritable, in_block
from streams.clock import Clock
from streams.events import AuditEvent, MppsEvent
from streams.generation import StepIdentity
from streams.objects import Damaged
from streams.origin import is_for_another
from streams.protected import Erased, ProtectedBlocks, Unopened
from streams.protected_keys import UnknownKey
from streams.step import DeadLetter, Done, Input, Outcome, RetryLater
from streams.store_scu import Lost, NoAssociation

ACTION: Final = "mpps.told"
# A step that the RIS cannot take now holds those behind it. Where it took others meanwhile, so many tries are enough:
# then the fault is the step's.
TRIES_MAX: Final = 8
_TOLD, _NOT_TOLD = 0, 1
_REMEMBERED_MAX = 1000

_SAID: Final = {
    "done": "The RIS took it.",
    "warned": "The RIS took it, with a warning.",
    "known": "The RIS had it already.",
    "final": "The RIS has the step as final already; nothing more can be said of it.",
}


class Telling:
    """Implements `streams.step.Step[MppsEvent]`. Called from one thread at a time: the RIS has one association."""

    def __init__(self, ris: Ris, identity: StepIdentity, blocks: ProtectedBlocks) -> None:
        self.name = identity.name
        self._ris = ris
        self._identity = identity
        self._blocks = blocks
        self._taken = 0
        # By event: how often it was tried, and how many had been taken when that began.
        self._tries: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def __call__(self, batch: Sequence[Input[MppsEvent]], clock: Clock) -> Sequence[Outcome]:
        """After the first that must wait nothing is told: a step's N-SET never comes before its N-CREATE."""
        outcomes: list[Outcome] = []
        waits: RetryLater | None = None
        for item in batch:
            outcome = waits or self._one(item, clock)
            waits = outcome if isinstance(outcome, RetryLater) else None
            outcomes.append(outcome)
        return outcomes

    def _one(self, item: Input[MppsEvent], clock: Clock) -> Outcome:
        """Raises StoreAway, for which everybody waits."""
        event = item.event
        if is_for_another(item.record, self.name):
            # The RIS was told in its turn; now, after what was said since, an old N-SET would undo that.
            return Done()
        if event.action == "other":
            return DeadLetter("neither an N-CREATE nor an N-SET")
        said = self._said(event)
        if isinstance(said, RetryLater):
            return said
        if isinstance(said, str):
            return self._dead(item, clock, said)
        try:
            answer = self._ris.tell(event.action, event.mpps_uid, said)
        except NoAssociation as error:
            return RetryLater(f"{self._ris.name}: {error}", "world")
        except Lost:
            return self._again(item, clock, "The association ended before the answer.")
        except Unwritable:
            return self._dead(item, clock, "The RIS does not take it as it was sent, and it cannot be written anew.")
        return self._answered(item, clock, answer)

    def _said(self, event: MppsEvent) -> AttributeList | RetryLater | str:
        """What is to be told, or why nothing can be."""
        try:
            found = self._blocks.read(event.block)
            return "Its attributes were erased." if isinstance(found, Erased) else in_block(found)
        except UnknownKey as error:
            return RetryLater(f"protected blocks cannot be read: {error}; restore the key file", "world")
        except (Damaged, Unopened, Unwritable):
            return "Its attributes cannot be read."

    def _answered(self, item: Input[MppsEvent], clock: Clock, answer: Answer) -> Outcome:
        status = f"The RIS answered 0x{answer.status:04X}."
        action: Literal["created", "set"] = "created" if item.event.action == "created" else "set"
        match judged(action, answer):
            case "busy":
                return self._again(item, clock, status, answer)
            case "refused":
                return self._dead(item, clock, status, answer)
            case taken:
                self._taken += 1
                self._tries.pop(item.event.meta.event_id, None)
                metrics.MPPS_FORWARDS.labels("done" if taken in ("done", "known") else "warned").inc()
                return Done.emit(self._audit(item, clock, "success", _SAID[taken], answer))

    def _again(self, item: Input[MppsEvent], clock: Clock, detail: str, answer: Answer | None = None) -> Outcome:
        named = item.event.meta.event_id
        tries, taken_before = self._tries.pop(named, (0, self._taken))
        if tries + 1 >= TRIES_MAX and self._taken > taken_before:
            return self._dead(item, clock, detail, answer)
        self._tries[named] = (tries + 1, taken_before)
        if len(self._tries) > _REMEMBERED_MAX:
            self._tries.popitem(last=False)
        return RetryLater(f"{self._ris.name}: {detail}", "world")

    def _dead(self, item: Input[MppsEvent], clock: Clock, detail: str, answer: Answer | None = None) -> DeadLetter:
        metrics.MPPS_FORWARDS.labels("failed").inc()
        outcome: Literal["refused", "failure"] = "failure" if answer is None else "refused"
        return DeadLetter(f"{self._ris.name}: {detail}", Done.emit(self._audit(item, clock, outcome, detail, answer)))

    def _audit(
        self,
        item: Input[MppsEvent],
        clock: Clock,
        outcome: Literal["success", "refused", "failure"],
        reason: str,
        answer: Answer | None,
    ) -> AuditEvent:
        event = item.event
        ordinal = _TOLD if outcome == "success" else _NOT_TOLD
        return AuditEvent(
            meta=structs.replace(
                event.meta,
                event_id=self._identity.event_id(event.meta.tenant, event.meta.event_id, ordinal),
                subject=event.mpps_uid,
                occurred_at=clock.now(),
            ),
            provenance=self._identity.provenance(item),
            actor=self.name,
            action=ACTION,
            outcome=outcome,
            reason=reason,
            attributes={
                "event": event.meta.event_id,
                "node": self._ris.name,
                "said": "N-CREATE" if event.action == "created" else "N-SET",
                "step_status": event.status,
                **({} if answer is None else {"status": f"0x{answer.status:04X}"}),
            },
        )
