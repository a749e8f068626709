"""The step: a validated instance gets a lossless copy and pictures, in one object.

What cannot be made is a note of the event, never a reason to hold the image: it flows as it was received.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import structlog

from consumers.derive import lossless, pack
from consumers.derive.config import Output
from consumers.derive.pack import Part
from consumers.derive.pictures import pictures
from consumers.derive.policy import Choice, Policy
from streams import metrics, part10
from streams.clock import Clock
from streams.elements import Malformed, TooComplex
from streams.events import InstanceDerived, InstanceValidated, Representation
from streams.fetching import fetched
from streams.generation import StepIdentity
from streams.identity import derived_key
from streams.objects import ObjectStore
from streams.part10 import Part10
from streams.pixels.frames import Frames
from streams.pixels.image import describe
from streams.rendering.source import Source
from streams.routes.matching import facts_of
from streams.step import Done, Input, NewObject, Outcome, Stored

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 2
STORE = "hot"


class Derive:
    """Implements `streams.step.Step[InstanceValidated]`."""

    name = "derive"

    def __init__(self, identity: StepIdentity, store: ObjectStore, output: Output) -> None:
        self._identity = identity
        self._store = store
        self._output = output
        self._policy = Policy(output.lossless)

    def __call__(self, batch: Sequence[Input[InstanceValidated]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[InstanceValidated], clock: Clock) -> Outcome:
        event = item.event
        if event.object.length > self._output.object_bytes_max:
            return self._done(item, clock, [], ("too_large",))
        data = fetched(self._store, event.object)
        if not isinstance(data, bytes):
            return data
        parts, notes = _made(data, self._output, lambda file: self._policy.choice(facts_of(event, file)))
        return self._done(item, clock, parts, notes)

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


def _made(data: bytes, output: Output, chosen: Callable[[Part10], Choice]) -> tuple[list[Part], tuple[str, ...]]:
    """The copies of a file, and notes on those that could not be made."""
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return [], ("unreadable",)
    made = _copies(file, output, chosen)
    notes = tuple(dict.fromkeys(one for one in made if isinstance(one, str)))
    if "lossless_verify_failed" in notes:
        _log_mismatch(file)
    return [one for one in made if isinstance(one, Part)], notes


def _copies(file: Part10, output: Output, chosen: Callable[[Part10], Choice]) -> list[Part | str]:
    image = describe(file, output.frame_bytes_max)
    if isinstance(image, str):
        return [image, *pictures(file, output)]
    # One for both: what is decoded for the copy is there for the pictures.
    frames = Frames(file, image)
    copy = lossless.copied(file, image, frames, output.pixel_bytes_max, chosen(file))
    return [copy, *pictures(Source(file, image, frames), output)]


def _count(index: pack.Index, source_bytes: int) -> None:
    for part in index.parts:
        metrics.DERIVED_BYTES.labels("lossless" if part.kind == "lossless" else "pictures").inc(part.length)
    if any(part.kind == "lossless" for part in index.parts):
        metrics.DERIVED_BYTES.labels("source").inc(source_bytes)


def _log_mismatch(file: Part10) -> None:
    """An encoder that does not keep its promise is for its maintainers; the original is untouched."""
    structlog.get_logger().error("lossless_verify_failed", transfer_syntax_uid=file.transfer_syntax_uid)
