"""The step of one destination: what the rules ask for goes there by C-STORE, and what came of it is an event.

Delivery is at least once: after a crash, or an answer that was lost, a node may get an instance again. It has the same
SOP Instance UID and the same bytes, so the node has it once (docs/decisions/0031).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from msgspec import structs

from consumers.forward.answers import judged
from consumers.forward.contents import Contents
from consumers.forward.outside import Here, NotSent, Outside
from consumers.forward.peer import NotAccepted, Peer, Sent
from consumers.forward.taken import Taken
from streams import metrics
from streams.clock import Clock
from streams.dimse.contexts import syntaxes
from streams.dimse.stored import Data, Limits, Stored, read
from streams.events import ForwardResult, ImportDecision, InstanceValidated
from streams.fetching import ABSENT, waiting_for
from streams.generation import StepIdentity
from streams.held import OTHER_CONTENT, HeldImages
from streams.log import LogAway, LogRefused
from streams.objects import NoRoom, ObjectStore
from streams.recoding.native import Unrecodable
from streams.routes.matching import Compiled, facts_of, forwarding
from streams.step import DeadLetter, Done, Input, Outcome, RetryLater
from streams.store_scu import Lost, NoAssociation

_HELD_DETAIL = "It is held or was rejected; it is sent when a person releases it: radstream quarantine show, release."
# Of the events about one instance. 1 is a quarantine's (`streams.working`).
_SENT, _FAILED = 0, 2
_COERCED = "coerced"
_NO_ROOM = "no_room"
_COERCED_DETAIL = (
    "Sent under its identity here; what it said before is in its Original Attributes Sequence (0400,0561)."
)
_KEPT_BEFORE = "kept_before"
_KEPT_BEFORE_DETAIL = (
    "The node has an instance of this UID (0x0111), perhaps as another patient's: take it out there, then decide anew: "
    "radstream imports reconcile."
)
_OTHER_CONTENT_DETAIL = (
    "Other content of its SOP Instance UID flows as well, and nobody has held one of them: radstream study, then "
    "radstream quarantine reject."
)
# A node that is full, or loses associations, holds everybody. One instance that does it every time is put aside after
# so many tries: it must not hold the others for ever. Then it is tried for most of a day.
TRIES_IN_PLACE = 5
_ATTEMPTS_MAX = 200
_REMEMBERED_MAX = 1000


class Forward:
    """Implements `streams.step.Step[InstanceValidated]`. `identity` is that of facts: what was sent was sent once."""

    def __init__(
        self,
        destination: str,
        rules: Sequence[Compiled],
        peer: Peer,
        identity: StepIdentity,
        store: ObjectStore,
        limits: Limits,
        held: HeldImages,
        outside: Outside | None = None,
    ) -> None:
        """`outside` decides about studies from outside; without it they go as they came. What is `held` does not go."""
        self.name = identity.name
        self._destination = destination
        self._rules = rules
        self._peer = peer
        self._identity = identity
        self._store = store
        self._limits = limits
        self._held = held
        self._outside = outside
        self._tries: OrderedDict[str, int] = OrderedDict()
        self._taken = Taken()
        self._contents = Contents(store, held)

    def __call__(self, batch: Sequence[Input[InstanceValidated]], clock: Clock) -> Sequence[Outcome]:
        """After the first that everybody waits for, nothing is sent: a study arrives in its order."""
        outcomes: list[Outcome] = []
        waits = self._outside.look() if self._outside is not None else None
        for item in batch:
            outcome = waits or self._one(item, clock)
            if isinstance(outcome, RetryLater) and outcome.scope == "world":
                waits = outcome
            outcomes.append(outcome)
        return outcomes

    def _one(self, item: Input[InstanceValidated], clock: Clock) -> Outcome:
        decided = forwarding(self._rules, self._destination, facts_of(item.event))
        if decided is not None and not decided.wanted:
            return Done()
        stored = read(self._store, item.event, self._limits.object_bytes_max)
        if decided is None and isinstance(stored, Stored) and stored.file is not None:
            decided = forwarding(self._rules, self._destination, facts_of(item.event, stored.file))
            if decided is not None and not decided.wanted:
                return Done()
        rules = decided.rules if decided is not None else ()

        def said(outcome: Literal["done", "warned", "failed"], code: str = "", detail: str = "") -> ForwardResult:
            return self._result(item, clock, rules, outcome, code, detail)

        match stored:
            case RetryLater(scope="world"):
                return stored
            case RetryLater(reason):
                why = ("absent", "Its object is in no store.") if stored == ABSENT else (_NO_ROOM, f"{reason}.")
                return replace(stored, given_up=Done.emit(said("failed", *why)))
            case DeadLetter(reason):
                return self._dead(said("failed", "unreadable", reason))
            case Stored(file=None) if decided is None:
                return self._dead(said("failed", "unreadable", "A rule looks at a tag, and its tags cannot be read."))
            case Stored():
                return self._if_it_flows(item.event, stored, said)

    def _if_it_flows(self, event: InstanceValidated, stored: Stored, said: Callable[..., ForwardResult]) -> Outcome:
        """What was held since it was found valid goes nowhere; released, it comes by again."""
        meta, digest = event.meta, event.instance.digest
        try:
            # Who is let go comes by at once, and once: what was read of the log a second ago may not know of it.
            held = self._held.among(meta.tenant, {digest}) and self._held.among(
                meta.tenant, {digest}, since_s=float("inf")
            )
            of_another = False if held else self._contents.of_another(event, stored)
        except LogAway:
            return RetryLater("the log does not answer", "world")
        except LogRefused as error:
            return RetryLater(f"the log does not say which images are held ({error})", "world")
        if isinstance(of_another, RetryLater):
            return replace(of_another, given_up=Done.emit(said("failed", OTHER_CONTENT, _OTHER_CONTENT_DETAIL)))
        if not held:
            outcome = self._under_its_identity(event, stored, said)
            return self._contents.unless_kept(outcome, said, digest) if of_another else outcome
        metrics.FORWARDS.labels(self._destination, "held").inc()
        found = said("failed", "held", _HELD_DETAIL)
        name = self._identity.event_id(meta.tenant, f"{digest}/held", _FAILED)
        return Done.emit(structs.replace(found, meta=structs.replace(found.meta, event_id=name)))

    def _under_its_identity(
        self, event: InstanceValidated, stored: Stored, said: Callable[..., ForwardResult]
    ) -> Outcome:
        """What is from outside goes under its identity here; all else as it came."""
        decision = self._outside.decided(event) if self._outside is not None else None
        if self._outside is None or decision is None:
            return self._send(event, stored, said)
        try:
            here = self._outside.here(event, stored, decision) if isinstance(decision, ImportDecision) else decision
        except NoRoom as error:
            return _without_room(error, said)
        match here:
            case RetryLater():
                return here
            case NotSent(waits=True):
                metrics.FORWARDS.labels(self._destination, here.code).inc()
                return Done.emit(said("failed", here.code, here.detail))
            case NotSent():
                return self._dead(said("failed", here.code, here.detail))
            case Here():
                return self._send(event, here.stored, self._said_of(here, event, said), here)

    def _said_of(
        self, here: Here, event: InstanceValidated, said: Callable[..., ForwardResult]
    ) -> Callable[..., ForwardResult]:
        """Once for each decision: a later one sends it again, under another identity."""

        def of_decision(outcome: str, code: str = "", detail: str = "") -> ForwardResult:
            found = said(outcome, code or _COERCED, detail or _COERCED_DETAIL)
            subject = f"{event.instance.digest}/as/{here.decision.meta.event_id}"
            name = self._identity.event_id(event.meta.tenant, subject, _FAILED if outcome == "failed" else _SENT)
            return structs.replace(found, meta=structs.replace(found.meta, event_id=name))

        return of_decision

    def _send(
        self,
        event: InstanceValidated,
        stored: Stored,
        said: Callable[..., ForwardResult],
        here: Here | None = None,
    ) -> Outcome:
        def data_set(transfer_syntax: str) -> Data:
            return stored.data_set(transfer_syntax, self._limits)

        try:
            sent = self._peer.store((stored.sop_class, stored.transfer_syntax), stored.sop_instance, data_set)
        except NoAssociation as error:
            return RetryLater(f"{self._destination}: {error}", "world")
        except NoRoom as error:
            return _without_room(error, said)
        except Lost:
            return self._again(event, said, "lost", "The association ended before the answer.")
        except NotAccepted:
            tried = ", ".join(syntaxes(stored.transfer_syntax))
            detail = f"The node takes SOP class {stored.sop_class} in none of: {tried}."
            return self._dead(said("failed", "not_accepted", detail))
        except Unrecodable as error:
            detail = f"The node does not take it as it is, and it cannot be written anew without a loss ({error})."
            return self._dead(said("failed", "not_recodable", detail))
        digest = event.instance.digest
        if (
            here is not None
            and here.was_another
            and self._taken.is_another(digest, here.decision.meta.event_id, sent.status)
        ):
            # No dead letter: so many as a study has would stop the destination.
            metrics.FORWARDS.labels(self._destination, "failed").inc()
            kept = said("failed", _KEPT_BEFORE, _KEPT_BEFORE_DETAIL)
            return Done.emit(structs.replace(kept, status=sent.status))
        return self._answered(event, sent, said)

    def _answered(self, event: InstanceValidated, sent: Sent, said: Callable[..., ForwardResult]) -> Outcome:
        def with_status(*what: str) -> ForwardResult:
            return structs.replace(said(*what), status=sent.status)

        status = f"The node answered 0x{sent.status:04X}."
        match judged(sent.status):
            case "done" | "warned" as outcome:
                self._tries.pop(event.instance.digest, None)
                metrics.FORWARDS.labels(self._destination, outcome).inc()
                result = structs.replace(
                    with_status(outcome), sent_transfer_syntax_uid=sent.transfer_syntax_uid, sent_bytes=sent.size
                )
                return Done.emit(result)
            case "full":
                return self._again(event, with_status, "full", status)
            case "busy":
                given_up = Done.emit(with_status("failed", "busy", status))
                return RetryLater(f"{self._destination}: {status}", "subject", given_up=given_up)
            case "refused":
                return self._dead(with_status("failed", "refused", status))

    def _again(
        self, event: InstanceValidated, said: Callable[..., ForwardResult], code: str, detail: str
    ) -> RetryLater:
        digest, reason = event.instance.digest, f"{self._destination}: {detail}"
        tries = self._tries[digest] = self._tries.pop(digest, 0) + 1
        if len(self._tries) > _REMEMBERED_MAX:
            self._tries.popitem(last=False)
        if tries < TRIES_IN_PLACE:
            return RetryLater(reason, "world")
        return RetryLater(reason, "subject", _ATTEMPTS_MAX, given_up=Done.emit(said("failed", code, detail)))

    def _dead(self, failed: ForwardResult) -> DeadLetter:
        metrics.FORWARDS.labels(self._destination, "failed").inc()
        return DeadLetter(f"{self._destination}: {failed.detail}", Done.emit(failed))

    def _result(
        self,
        item: Input[InstanceValidated],
        clock: Clock,
        rules: tuple[str, ...],
        outcome: Literal["done", "warned", "failed"],
        code: str,
        detail: str,
    ) -> ForwardResult:
        event = item.event
        ordinal = _FAILED if outcome == "failed" else _SENT
        return ForwardResult(
            meta=structs.replace(
                event.meta,
                event_id=self._identity.event_id(event.meta.tenant, event.instance.digest, ordinal),
                subject=event.instance.digest,
                occurred_at=clock.now(),
            ),
            provenance=self._identity.provenance(item),
            instance=event.instance,
            action="forward",
            target=self._destination,
            outcome=outcome,
            rules=rules,
            code=code,
            detail=detail,
        )


def _without_room(error: NoRoom, said: Callable[..., ForwardResult]) -> RetryLater:
    """It is here, and there is no disk to write it anew on."""
    return replace(waiting_for(error), given_up=Done.emit(said("failed", _NO_ROOM, f"{error}.")))
