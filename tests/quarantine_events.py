"""Held instances and what people decide on them, for tests of what reads the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import structs

from consumers.validate.releasing import STEP
from streams.events import Event, Finding, InstanceQuarantined, InstanceReceived, InstanceValidated, QuarantineCommand
from tests.event_streams import Hospital
from tests.instance_events import provenance_of, validated_of


def decided(
    hospital: Hospital,
    image: InstanceReceived,
    action: Literal["released", "rejected"] = "released",
    number: int = 0,
    code: str = "truncated",
) -> QuarantineCommand:
    """The `number`-th decision on an image, counted from 0."""
    digest = image.instance.digest
    meta = hospital.meta(STEP, f"command/{digest}/{action}/{number}", lane=image.meta.lane)
    return QuarantineCommand(
        meta=structs.replace(meta, subject=digest),
        provenance=provenance_of(STEP),
        instance=image.instance,
        object=image.object,
        technical=image.technical,
        action=action,
        code=code,
        actor="night.shift",
        why=hospital.blocks.put_note(f"{digest}/{action}/{number}", "the rest is with Mrs Doe"),
        source=image.source,
        outside=image.outside,
    )


def assessed_as_strange(hospital: Hospital, image: InstanceReceived) -> InstanceQuarantined:
    """What is said of an image of another patient than its study."""
    held = hospital.quarantined(image, code="contradicts_patient")
    meta = hospital.meta("assess", image.instance.digest, 1, ordinal=1, lane=image.meta.lane)
    return structs.replace(held, meta=meta, provenance=provenance_of("assess"))


def held_as(hospital: Hospital, image: InstanceReceived, code: str) -> InstanceQuarantined:
    """What is said of an image that a study as a whole shows to be one that a person has to decide on."""
    held = hospital.quarantined(image, code=code)
    meta = hospital.meta("contents", image.instance.digest, ordinal=1, lane=image.meta.lane)
    return structs.replace(held, meta=meta, provenance=provenance_of("contents", 0))


def let_go(hospital: Hospital, image: InstanceReceived) -> InstanceValidated:
    """What validation says of an image that was released."""
    found = Finding(rule="released_by_hand", severity="error", text="This image was held.")
    meta = hospital.meta(STEP, image.instance.digest, lane=image.meta.lane)
    return validated_of(image, meta, provenance_of(STEP), (found,))


def judged_by_people(hospital: Hospital) -> Iterator[Event]:
    """Released, rejected, both in turn, undecided; what was said again changes nothing."""
    images = hospital.study("P12", "HELD^AND", series=1, images=5)
    for image in images:
        yield image
        yield hospital.quarantined(image)
    released, rejected, mended, doubted, _ = images
    first = decided(hospital, released)
    yield from (first, let_go(hospital, released), hospital.derived(released))
    yield decided(hospital, rejected, "rejected")
    yield from (decided(hospital, mended, "rejected"), decided(hospital, mended, "released", 1))
    yield let_go(hospital, mended)
    yield from (wrong := decided(hospital, doubted), let_go(hospital, doubted))
    yield decided(hospital, doubted, "rejected", 1)
    yield from (wrong, first)
    # A later generation holds again what was released: a person's word stands above it.
    yield hospital.quarantined(released, 2, "unreadable")
