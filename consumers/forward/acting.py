"""What rules ask for without a destination: a tag, which is an event, and a hold, a command like a person's."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from msgspec import structs

from streams.clock import Clock
from streams.dimse.stored import Stored, read
from streams.events import Event, ForwardResult, HoldCommand, InstanceValidated
from streams.generation import StepIdentity
from streams.identity import event_id
from streams.objects import ObjectStore
from streams.protected import ProtectedBlocks
from streams.routes.matching import Compiled, applying, facts_of
from streams.routes.rules import Rule
from streams.step import DeadLetter, Done, Input, Outcome, RetryLater

# As `radstream hold` names its commands: the same hold placed twice is one.
_HOLD = "hold"
_REMEMBERED_MAX = 10_000


class Acting:
    """Implements `streams.step.Step[InstanceValidated]`."""

    def __init__(
        self,
        rules: Sequence[Compiled],
        identity: StepIdentity,
        store: ObjectStore,
        blocks: ProtectedBlocks,
        object_bytes_max: int,
    ) -> None:
        self.name = identity.name
        self._rules = tuple(one for one in rules if one.rule.tag or one.rule.hold)
        self._identity = identity
        self._store = store
        self._blocks = blocks
        self._object_bytes_max = object_bytes_max
        self._placed: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __call__(self, batch: Sequence[Input[InstanceValidated]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[InstanceValidated], clock: Clock) -> Outcome:
        rules = self._applying(item.event)
        if isinstance(rules, RetryLater | DeadLetter):
            return rules
        tags = dict.fromkeys(tag for rule in rules for tag in rule.tag)
        events: list[Event] = [self._tagged(item, tag, rules, clock) for tag in tags]
        events += [self._hold(item, rule, clock) for rule in rules if rule.hold and self._is_first(item.event, rule)]
        return Done.emit(*events)

    def _applying(self, event: InstanceValidated) -> Sequence[Rule] | RetryLater | DeadLetter:
        rules = applying(self._rules, facts_of(event))
        if rules is not None:
            return rules
        stored = read(self._store, event, self._object_bytes_max)
        if not isinstance(stored, Stored):
            return stored
        if stored.file is None:
            return DeadLetter("A rule looks at a tag, and its tags cannot be read.")
        return applying(self._rules, facts_of(event, stored.file)) or ()

    def _tagged(self, item: Input[InstanceValidated], tag: str, rules: Sequence[Rule], clock: Clock) -> ForwardResult:
        event = item.event
        return ForwardResult(
            meta=structs.replace(
                event.meta,
                event_id=self._identity.event_id(event.meta.tenant, f"{event.instance.digest}/tag/{tag}", 0),
                subject=event.instance.digest,
                occurred_at=clock.now(),
            ),
            provenance=self._identity.provenance(item),
            instance=event.instance,
            action="tag",
            target=tag,
            outcome="done",
            rules=tuple(rule.name for rule in rules if tag in rule.tag),
        )

    def _is_first(self, event: InstanceValidated, rule: Rule) -> bool:
        """Whether this is the instance that places the hold of its study: the first one, however often it is read."""
        study = event.instance.study_uid
        first = self._placed.setdefault((study, rule.name), event.meta.event_id)
        if len(self._placed) > _REMEMBERED_MAX:
            self._placed.popitem(last=False)
        return bool(study) and first == event.meta.event_id

    def _hold(self, item: Input[InstanceValidated], rule: Rule, clock: Clock) -> HoldCommand:
        """Raises StoreAway."""
        meta, study = item.event.meta, item.event.instance.study_uid
        # A name is of one hold alone, so that its release is of this study alone.
        name = f"rule-{rule.name}-{hashlib.sha256(study.encode()).hexdigest()[:8]}"
        subject = f"{study}/{name}/placed"
        return HoldCommand(
            meta=structs.replace(
                meta,
                event_id=event_id(meta.tenant, _HOLD, subject, 0, 0),
                subject=subject,
                occurred_at=clock.now(),
            ),
            provenance=self._identity.provenance(item),
            study_uid=study,
            hold_id=name,
            action="placed",
            actor=f"rule {rule.name}",
            why=self._blocks.put_note(subject, rule.hold or ""),
        )
