"""The step: a validated instance gets copies in one object: lossless, pictures, and enhanced where a site asks.

What cannot be made is a note of the event, never a reason to hold the image: it flows as it was received.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from consumers.derive import lossless, pack
from consumers.derive.config import Output
from consumers.derive.enhanced import Asked, enhanced_object
from consumers.derive.enhancing import Enhancing
from consumers.derive.pack import Part
from consumers.derive.pictures import pictures
from consumers.derive.policy import Choice, of_copies, of_enhancement
from streams import metrics, part10
from streams.clock import Clock
from streams.elements import Malformed, TooComplex
from streams.events import InstanceDerived, InstanceValidated, Representation
from streams.fetching import fetched
from streams.generation import StepIdentity
from streams.identity import derived_key, uid_of_event
from streams.mapped import File
from streams.objects import ObjectStore
from streams.one_large import OneLarge
from streams.part10 import Part10
from streams.pixels.frames import Frames
from streams.pixels.image import VIDEO, describe
from streams.rendering.source import Source
from streams.routes.matching import facts_of
from streams.step import Done, Input, NewObject, Outcome, Quarantine, RetryLater, Stored

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 4
STORE = "hot"
# No decoder here knows its frames, and it is as small as it gets: viewers play what was received.
_VIDEO = "video"


@dataclass(frozen=True)
class _Wishes:
    """What the policies want of one instance."""

    copy: Choice
    enhanced: Asked | None


class Derive:
    """Implements `streams.step.Step[InstanceValidated]`."""

    name = "derive"

    def __init__(self, identity: StepIdentity, store: ObjectStore, output: Output) -> None:
        self._identity = identity
        self._store = store
        self._output = output
        self._copies = of_copies(output.lossless)
        self._enhancement = of_enhancement(output.enhancement)
        self._large = OneLarge()

    def __call__(self, batch: Sequence[Input[InstanceValidated]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[InstanceValidated], clock: Clock) -> Outcome:
        event = item.event
        if event.object.length > self._output.object_bytes_max:
            return self._done(item, clock, [], ("too_large",))
        with self._large.turn(event.object.length):
            data = fetched(self._store, event.object)
            if isinstance(data, Quarantine | RetryLater):
                return data
            parts, notes = _made(data, self._output, lambda file: self._wishes(event, file))
            del data  # Before the next has its turn.
        return self._done(item, clock, parts, notes)

    def _wishes(self, event: InstanceValidated, file: Part10) -> _Wishes:
        facts = facts_of(event, file)
        how = self._enhancement.choice(facts)
        return _Wishes(self._copies.choice(facts), None if how is None else self._asked(event, how))

    def _asked(self, event: InstanceValidated, how: Enhancing) -> Asked:
        """All of a series, enhanced in one way, are a series."""
        tenant, series = event.meta.tenant, event.instance.series_uid
        return Asked(
            how,
            uid_of_event(self._identity.event_id(tenant, event.instance.digest, 0)),
            uid_of_event(self._identity.event_id(tenant, f"{series}|{how.method}", 0)),
        )

    def _done(
        self, item: Input[InstanceValidated], clock: Clock, parts: Sequence[Part], notes: tuple[str, ...]
    ) -> Done:
        tenant = item.event.meta.tenant
        name = self._identity.event_id(tenant, item.event.instance.digest, 0)
        emit = self._emitter(item, clock, name)
        if not parts:
            return Done.emit(emit((), notes))

        def events(stored: tuple[Stored, ...]) -> Sequence[InstanceDerived]:
            # Whoever was first is right: its index says what there is.
            index = pack.index_of(bytes(stored[0].data))
            if stored[0].created:
                _count(index, item.event.object.length)
            return [emit(pack.representations(stored[0], index), index.notes)]

        return Done((NewObject(tenant, STORE, derived_key(tenant, name), pack.packed(parts, notes)),), events)

    def _emitter(
        self, item: Input[InstanceValidated], clock: Clock, name: str
    ) -> Callable[[tuple[Representation, ...], tuple[str, ...]], InstanceDerived]:
        meta = msgspec.structs.replace(
            item.event.meta, event_id=name, subject=item.event.instance.digest, occurred_at=clock.now()
        )

        def emit(representations: tuple[Representation, ...], notes: tuple[str, ...]) -> InstanceDerived:
            return InstanceDerived(
                meta=meta,
                provenance=self._identity.provenance(item),
                instance=item.event.instance,
                source_size=item.event.object.length,
                representations=representations,
                notes=notes,
            )

        return emit


def _made(data: File, output: Output, wishes: Callable[[Part10], _Wishes]) -> tuple[list[Part], tuple[str, ...]]:
    """The copies of a file, and notes on those that could not be made."""
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return [], ("unreadable",)
    made = _copies(file, output, wishes(file))
    notes = tuple(dict.fromkeys(one for one in made if isinstance(one, str)))
    if "lossless_verify_failed" in notes:
        _log_mismatch(file)
    return [one for one in made if isinstance(one, Part)], notes


def _copies(file: Part10, output: Output, wishes: _Wishes) -> list[Part | str]:
    if file.transfer_syntax_uid.startswith(VIDEO):
        return [_VIDEO]
    image = describe(file, output.frame_bytes_max)
    if isinstance(image, str):
        return [image, *pictures(file, output)]
    # One for both: what is decoded for the copy is there for the pictures.
    frames = Frames(file, image)
    made = [lossless.copied(file, image, frames, output.pixel_bytes_max, wishes.copy)]
    made += pictures(Source(file, image, frames), output)
    if wishes.enhanced is not None:
        made.append(enhanced_object(file, image, frames, wishes.enhanced, output.pixel_bytes_max))
    return made


def _count(index: pack.Index, source_bytes: int) -> None:
    for part in index.parts:
        what = part.kind if part.kind in ("lossless", "enhanced") else "pictures"
        metrics.DERIVED_BYTES.labels(what).inc(part.length)
    if any(part.kind == "lossless" for part in index.parts):
        metrics.DERIVED_BYTES.labels("source").inc(source_bytes)


def _log_mismatch(file: Part10) -> None:
    """An encoder that does not keep its promise is for its maintainers; the original is untouched."""
    structlog.get_logger().error("lossless_verify_failed", transfer_syntax_uid=file.transfer_syntax_uid)
