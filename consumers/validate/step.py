"""The step: a received instance becomes a validated one, with findings, or is quarantined.

Only what is unreadable or unidentifiable is quarantined here; everything else flows with findings. Whether an instance
contradicts its patient depends on what else is known of the study: that is for a decision step, since a pure step
depends on its subject alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
from pydicom.uid import UID

from consumers.validate import pixels, rules
from consumers.validate.config import Limits
from streams import elements, part10
from streams.clock import Clock
from streams.elements import Malformed, TooComplex
from streams.events import Instance, InstanceReceived, InstanceValidated
from streams.fetching import fetched
from streams.generation import StepIdentity
from streams.identity import uid_has_leading_zero, uid_is_usable
from streams.objects import ObjectStore
from streams.part10 import Part10
from streams.step import Done, Input, Outcome, Quarantine, RetryLater

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 2

SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
MODALITY, PATIENT_ID = 0x00080060, 0x00100020
MEDIA_STORAGE_CLASS, MEDIA_STORAGE_INSTANCE = 0x00020002, 0x00020003
_ILLEGAL = "UIDs of digits and dots, at most 64 characters, are what an instance is known by; one of these is not."


class Validate:
    """Implements `streams.step.Step[InstanceReceived]`."""

    name = "validate"

    def __init__(self, identity: StepIdentity, store: ObjectStore, limits: Limits) -> None:
        self._identity = identity
        self._store = store
        self._limits = limits

    def __call__(self, batch: Sequence[Input[InstanceReceived]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[InstanceReceived], clock: Clock) -> Outcome:
        event = item.event
        file = self._read(event)
        if not isinstance(file, Part10):
            return file
        if quarantine := _unidentified(file, event.instance):
            return quarantine
        meta = msgspec.structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, event.instance.digest, 0),
            subject=event.instance.digest,
            occurred_at=clock.now(),
        )
        validated = InstanceValidated(
            meta=meta,
            provenance=self._identity.provenance(item),
            instance=event.instance,
            object=event.object,
            technical=event.technical,
            findings=rules.found(_broken(file)),
            source=event.source,
            metadata_sha256=part10.metadata_sha256(file),
        )
        return Done.emit(validated)

    def _read(self, event: InstanceReceived) -> Part10 | Quarantine | RetryLater:
        """The stored file, or why there is none to look at."""
        if event.object.length > self._limits.object_bytes_max:
            return Quarantine("too_large", "It is larger than this site's limit for one object (object_bytes_max).")
        data = fetched(self._store, event.object)
        if not isinstance(data, bytes):
            return data
        limits = elements.Limits(
            elements=self._limits.elements_max,
            depth=self._limits.depth_max,
            inflated_bytes=self._limits.inflated_bytes_max,
        )
        try:
            return part10.read(data, limits)
        except TooComplex as error:
            return Quarantine("too_complex", str(error))
        except Malformed as error:
            return Quarantine("truncated" if error.code == "truncated" else "unreadable", str(error))


def _unidentified(file: Part10, instance: Instance) -> Quarantine | None:
    """Why an instance cannot be told from others, or None. Its UIDs must be there, legal, and those of the event."""
    uids = [file.text(tag) or "" for tag in (STUDY, SERIES, SOP_INSTANCE)]
    for uid, level in zip(uids, ("Study", "Series", "SOP"), strict=True):
        if not uid:
            return Quarantine("unidentifiable", f"It has no {level} Instance UID; send it again with one.")
    if not all(uid_is_usable(uid) for uid in uids):
        return Quarantine("illegal_uid", _ILLEGAL)
    if uids != [instance.study_uid, instance.series_uid, instance.sop_instance_uid]:
        return Quarantine("uids_differ", "The stored data set has other UIDs than the event that announced it.")
    return None


def _broken(file: Part10) -> Iterator[rules.Broken]:
    yield from _names(file)
    yield from ((name, None) for name in sorted(file.oddities))
    if _kind_of(file.transfer_syntax_uid) != "Transfer Syntax":
        yield "transfer_syntax_unknown", None
    yield from pixels.check(file, is_image=_is_image(file))


def _names(file: Part10) -> Iterator[rules.Broken]:
    for tag in (SOP_CLASS, SOP_INSTANCE, STUDY, SERIES):
        if uid_has_leading_zero(file.text(tag) or ""):
            yield "uid_leading_zero", tag
    sop_class = file.text(SOP_CLASS)
    if not sop_class:
        yield "sop_class_missing", None
    elif _kind_of(sop_class) != "SOP Class":
        yield "sop_class_unknown", None
    stored = (file.meta.get(MEDIA_STORAGE_CLASS), file.meta.get(MEDIA_STORAGE_INSTANCE))
    if stored != (sop_class, file.text(SOP_INSTANCE)):
        yield "media_storage", None
    if not file.text(MODALITY):
        yield "modality_missing", None
    if PATIENT_ID not in file.elements:
        yield "patient_id_missing", None
    elif file.elements[PATIENT_ID].length == 0:
        yield "patient_id_empty", None


def _is_image(file: Part10) -> bool:
    """Whether there should be pixel data: it has an image's measures, or its SOP class is one of images."""
    if pixels.ROWS in file.elements and pixels.COLUMNS in file.elements:
        return True
    return _name_of(file.text(SOP_CLASS) or "").endswith("Image Storage")


@lru_cache(maxsize=1024)
def _kind_of(uid: str) -> str:
    """What the standard's registry (PS3.6 annex A) says a UID is: 'SOP Class', 'Transfer Syntax', or nothing."""
    return UID(uid).type if not UID(uid).is_private else ""


@lru_cache(maxsize=1024)
def _name_of(uid: str) -> str:
    return UID(uid).name
