"""Images that lie in a store as the log says of them, and their way into an archive and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import structs

from streams.events import InstanceReceived, ObjectRef, Phase, TierMoved
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests.event_streams import TENANT, Hospital
from tests.images import data_set, native, written
from tests.tiering_events import backed_up, moved

ENCAPSULATED_PDF, PDF = "1.2.840.10008.5.1.4.1.1.104.1", "application/pdf"


def image(hospital: Hospital, said: dict[str, str], study_uid: str = "", **more: Any) -> InstanceReceived:
    """Received, with its bytes in the store."""
    event = hospital.received(study_uid or hospital.uid(), hospital.uid(), said, **more)
    return stored(hospital, event, native(np.arange(64, dtype=np.uint16).reshape(1, 8, 8), **_uids(event), **said))


def pdf(hospital: Hospital, document: bytes, **more: Any) -> InstanceReceived:
    """As `image`, an encapsulated PDF; `more` is of its data set."""
    event = hospital.received(hospital.uid(), hospital.uid(), {})
    uids = structs.replace(event.instance, sop_class_uid=ENCAPSULATED_PDF)
    technical = structs.replace(event.technical, modality="DOC", rows=None, columns=None)
    event = structs.replace(event, instance=uids, technical=technical)
    said = {"SOPClassUID": ENCAPSULATED_PDF, "Modality": "DOC", "MIMETypeOfEncapsulatedDocument": PDF, **more}
    padded = document + b"\0" * (len(document) % 2)
    return stored(hospital, event, written(data_set(**_uids(event), **said, EncapsulatedDocument=padded)))


def _uids(event: InstanceReceived) -> dict[str, str]:
    uids = event.instance
    return {
        "StudyInstanceUID": uids.study_uid,
        "SeriesInstanceUID": uids.series_uid,
        "SOPInstanceUID": uids.sop_instance_uid,
    }


def stored(hospital: Hospital, event: InstanceReceived, file: bytes) -> InstanceReceived:
    """As it was received, of this file, which is in the store."""
    uids = event.instance
    digest = hashlib.sha256(file).hexdigest()
    key = event.object.key.replace(uids.digest, digest)
    ref = hospital.store.create(NewObject(TENANT, "hot", key, file)).ref
    meta = hospital.meta("dicom_router", digest)
    return structs.replace(event, meta=meta, instance=structs.replace(uids, digest=digest), object=ref)


def archived(hospital: Hospital, images: Sequence[InstanceReceived]) -> Iterator[TierMoved]:
    """Backed up and moved to cold, the bytes as well. Seq 1 to 8."""
    yield from backed_up(hospital, images)
    for image in images:
        _put(hospital.store, image.object, "cold", "backup")
        hospital.store.delete(image.object)
    steps: tuple[tuple[Phase, list[str]], ...] = (
        ("planned", ["hot", "backup"]),
        ("copied", ["hot", "cold", "backup"]),
        ("verified", ["hot", "cold", "backup"]),
        ("switched", ["hot", "cold", "backup"]),
        ("released", ["cold", "backup"]),
    )
    for seq, (phase, stores) in enumerate(steps, start=4):
        serving = "cold" if seq > 6 else "hot"
        yield moved(hospital, images, seq, phase, stores, move=2, source="hot", target="cold", serving=serving)


def restored(
    hospital: Hospital, images: Sequence[InstanceReceived], *phases: Phase, first: int = 9, move: int = 3
) -> Iterator[TierMoved]:
    """Phases of a restore; with `switched` the bytes are there too."""
    for seq, phase in enumerate(phases, start=first):
        is_there = phase == "switched"
        stores = ["hot", "cold", "backup"] if is_there else ["cold", "backup"]
        serving = "hot" if is_there else "cold"
        event = moved(hospital, images, seq, phase, stores, move=move, target="hot", serving=serving)
        if is_there:
            for image in images:
                _put(hospital.store, image.object, "hot")
        yield structs.replace(event, why="recall")


def _put(store: MemoryStore, ref: ObjectRef, *names: str) -> None:
    found = next(found for name in store.names if (found := store.find(ref.tenant, name, ref.key)) is not None)
    for name in names:
        store.create(NewObject(ref.tenant, name, ref.key, found.data))
