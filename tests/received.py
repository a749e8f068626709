"""Instances as the router would announce them, for tests of the steps behind it."""

from __future__ import annotations

import hashlib
import io
import itertools
import warnings
from pathlib import Path

import pydicom
import pytest

from streams.events import Event, InstanceReceived, InstanceValidated, ObjectRef, Technical
from streams.generation import StepIdentity
from streams.identity import uid_is_usable
from streams.objects import ObjectStore
from streams.step import Done, Input, NewObject
from streams.wire import Record
from tests.instance_events import instance_of, meta_of, received_of, ref_of, validated_of

CORPUS = Path(__file__).resolve().parents[1] / ".." / "shared" / "corpus"
_OFFSETS = itertools.count()


def identity(name: str, generation: int = 1) -> StepIdentity:
    return StepIdentity(name=name, build="0", generation=generation, config_digest="c" * 64)


def received(store: ObjectStore, data: bytes, uids: tuple[str, str, str] | None = None) -> Input[InstanceReceived]:
    """Stores the bytes and announces them. The UIDs are those that pydicom reads, unless given."""
    digest = hashlib.sha256(data).hexdigest()
    key = f"t/studies/x/{digest}.dcm"
    ref = store.create(NewObject("t", "hot", key, data)).ref
    instance = instance_of(uids or _uids(data), digest, sop_class_uid="", transfer_syntax_uid="")
    event = received_of(meta_of(digest), instance, ref, technical=Technical())
    record = Record("imaging.instance.received", "topic-id", 0, next(_OFFSETS), 0, None, None)
    return Input(event, record)


def validated(store: ObjectStore, data: bytes, uids: tuple[str, str, str] | None = None) -> Input[InstanceValidated]:
    """Stores the bytes and says that they were found valid."""
    event = received(store, data, uids).event
    found = validated_of(event, event.meta, event.provenance)
    record = Record("imaging.instance.validated", "topic-id", 0, next(_OFFSETS), 0, None, None)
    return Input(found, record)


def events_of(done: Done, store: ObjectStore) -> list[Event]:
    """What the runner would emit: puts the objects, then asks for the events."""
    return list(done.events(tuple(store.create(new) for new in done.objects)))


def manifest() -> list[dict[str, str]]:
    """The corpus' rows. Skips the test, and says so, where the corpus is absent."""
    table = CORPUS / "MANIFEST.tsv"
    if not table.is_file():
        pytest.skip("the shared corpus of foreign DICOM files is not here (../shared/corpus)")
    lines = table.read_text(encoding="utf-8").splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"), strict=False)) for line in lines[1:]]


def _uids(data: bytes) -> tuple[str, str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = pydicom.dcmread(
                io.BytesIO(data),
                force=True,
                stop_before_pixels=True,
                specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
            )
            found = [str(read.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        except Exception:  # noqa: BLE001 - the corpus has files that nothing reads
            found = ["", "", ""]
    study, series, instance = (uid if uid_is_usable(uid) else "" for uid in found)
    return study, series, instance


def ref_to(data: bytes, key: str) -> ObjectRef:
    """A reference to bytes that no store has."""
    return ref_of(key, len(data), hashlib.sha256(data).hexdigest())
