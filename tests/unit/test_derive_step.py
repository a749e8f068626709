"""One object for each instance, which describes itself; whoever comes second says what the first one made."""

from __future__ import annotations

import hashlib
import io

import msgspec
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from pydicom.uid import RLELossless

from consumers.derive import pack
from consumers.derive.config import Output
from consumers.derive.pack import NotAPack, Part
from consumers.derive.step import Derive
from streams import metrics
from streams.clock import SystemClock
from streams.events import Event, FrameRange, InstanceDerived, InstanceValidated, ObjectRef
from streams.identity import event_id
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.pixels.codecs import Pixels, decode
from streams.pixels.image import Image
from streams.step import Done, Input, NewObject, Outcome, Quarantine, RetryLater
from tests import images
from tests.received import events_of, identity, ref_to, validated

PIXELS = np.arange(2 * 32 * 24, dtype=np.uint16).reshape(2, 32, 24)


def run(store: MemoryStore, item: Input[InstanceValidated]) -> Outcome:
    (made,) = Derive(identity("derive"), store, Output())([item], SystemClock())
    return made


def derived(events: list[Event]) -> InstanceDerived:
    (event,) = events
    assert isinstance(event, InstanceDerived)
    return event


def test_an_image_gets_one_object_with_a_copy_and_a_thumbnail() -> None:
    store = MemoryStore()
    data = images.native(PIXELS)
    item = validated(store, data)

    made = run(store, item)

    assert isinstance(made, Done)
    event = derived(events_of(made, store))
    digest = item.event.instance.digest
    assert event.meta.event_id == event_id("t", "derive", digest, 0, 1)
    assert (event.meta.subject, event.source_size, event.notes) == (digest, len(data), ())
    assert [one.kind for one in event.representations] == ["lossless", "thumbnail", "preview", "strip"]
    assert {one.object.key for one in event.representations} == {f"t/derived/{event.meta.event_id}"}
    copy, picture, *_ = (store.read(one.object) for one in event.representations)
    assert copy[128:132] == b"DICM"
    assert Picture.open(io.BytesIO(picture)).size == (192, 256)


def test_bytes_beside_originals_are_counted_with_those_of_their_sources() -> None:
    store, before = MemoryStore(), _derived_bytes()
    data = images.native(PIXELS)
    event = derived(events_of(_done(run(store, validated(store, data))), store))
    lossless, *rest = (one.object.length for one in event.representations)

    after = _derived_bytes()

    assert [after[what] - before[what] for what in ("source", "lossless", "pictures")] == [
        len(data),
        lossless,
        sum(rest),
    ]


def _derived_bytes() -> dict[str, float]:
    (family,) = metrics.DERIVED_BYTES.collect()
    found = {one.labels["what"]: one.value for one in family.samples if one.name.endswith("_total")}
    return {"source": 0.0, "lossless": 0.0, "pictures": 0.0} | found


def test_frames_are_byte_ranges_of_the_object() -> None:
    store = MemoryStore()
    event = derived(events_of(_done(run(store, validated(store, images.native(PIXELS)))), store))
    copy = event.representations[0]
    whole = store.create(NewObject("t", "hot", copy.object.key, b"")).data

    assert len(copy.frames) == 2
    for item in copy.frames:
        assert whole[item.offset : item.offset + 4] == b"\xff\x4f\xff\x51"
        assert whole[item.offset + item.length - 2 : item.offset + item.length] == b"\xff\xd9"


def test_who_loses_the_race_says_what_is_stored() -> None:
    store = MemoryStore()
    made = _done(run(store, validated(store, images.native(PIXELS))))
    (mine,) = made.objects
    first = pack.packed([Part("thumbnail", "image/webp", 1, 1, b"other")], ("made-elsewhere",))
    store.create(NewObject(mine.tenant, mine.store, mine.key, first))

    event = derived(events_of(made, store))

    assert [(one.kind, one.object.length) for one in event.representations] == [("thumbnail", 5)]
    assert event.notes == ("made-elsewhere",)


def test_the_same_input_makes_the_same_bytes() -> None:
    store = MemoryStore()
    item = validated(store, images.native(PIXELS))

    assert _done(run(store, item)).objects == _done(run(store, item)).objects


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (images.written(images.data_set()), ("no_pixel_data",)),
        (images.native(PIXELS)[:-10], ("pixel_data_truncated",)),
        (images.native(PIXELS, Rows=None), ("pixel_header",)),
        (images.native(PIXELS, Rows=65535, Columns=65535), ("too_large",)),
        (images.compressed(PIXELS[:1], [b"\0\0"], "1.2.840.10008.1.2.4.91"), ("arrived_lossy", "undecodable")),
        (images.compressed(PIXELS[:1], [b"\0\0"], "1.2.840.10008.1.2.4.102"), ("video",)),
        (b"not DICOM", ("unreadable",)),
    ],
)
def test_what_cannot_be_made_is_a_note_and_the_image_flows(data: bytes, notes: tuple[str, ...]) -> None:
    store = MemoryStore()
    event = derived(events_of(_done(run(store, validated(store, data))), store))

    assert event.notes == notes
    assert event.representations == ()


def test_an_absent_object_waits_and_damaged_bytes_are_quarantined() -> None:
    store = MemoryStore()
    item = validated(store, images.native(PIXELS))
    lost = msgspec.structs.replace(item.event, object=ref_to(b"gone", "nowhere"))
    other = msgspec.structs.replace(
        item.event, object=msgspec.structs.replace(item.event.object, sha256=hashlib.sha256(b"").hexdigest())
    )

    absent, damaged = run(store, Input(lost, item.record)), run(store, Input(other, item.record))

    assert isinstance(absent, RetryLater)
    assert absent.scope == "subject"
    assert isinstance(damaged, Quarantine)
    assert damaged.code == "hash_mismatch"


def test_a_store_that_is_away_holds_everybody() -> None:
    class Away(MemoryStore):
        def read(self, ref: ObjectRef) -> bytes:
            raise StoreAway("no answer")

    made = run(Away(), validated(MemoryStore(), images.native(PIXELS)))

    assert isinstance(made, RetryLater)
    assert made.scope == "world"


@given(st.lists(st.binary(max_size=50), max_size=4), st.lists(st.text(max_size=9), max_size=3))
def test_a_pack_says_what_it_holds(blobs: list[bytes], notes: list[str]) -> None:
    parts = [
        Part("lossless", "application/dicom", 1, 2, blob, "1.2.3", (FrameRange(offset=0, length=len(blob)),))
        for blob in blobs
    ]

    data = pack.packed(parts, tuple(notes))

    index = pack.index_of(data)
    assert [data[one.offset : one.offset + one.length] for one in index.parts] == blobs
    assert [one.frames[0].offset for one in index.parts] == [one.offset for one in index.parts]
    assert index.notes == tuple(notes)


@given(st.binary(max_size=100), st.sampled_from([b"", b"\xff\xff\xff\xffRADPACK1", b"\4\0\0\0RADPACK1"]))
def test_what_is_no_pack_is_told_so(data: bytes, tail: bytes) -> None:
    with pytest.raises(NotAPack):
        pack.index_of(data + tail)


def _done(made: Outcome) -> Done:
    assert isinstance(made, Done), made
    return made


def test_bytes_that_were_counted_are_not_counted_when_the_image_comes_again() -> None:
    store = MemoryStore()
    item = validated(store, images.native(PIXELS))
    events_of(_done(run(store, item)), store)
    before = _derived_bytes()

    events_of(_done(run(store, item)), store)

    assert _derived_bytes() == before


def test_a_frame_is_decoded_once_for_copy_and_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    class Counting:
        def decode(self, codestream: bytes, image: Image) -> Pixels:
            decoded.append(codestream)
            return decode(codestream, image)

    monkeypatch.setattr("streams.pixels.frames.shared", Counting)
    packed = pydicom.dcmread(io.BytesIO(images.native(PIXELS)))
    packed.compress(RLELossless, generate_instance_uid=False)
    store = MemoryStore()

    event = derived(events_of(_done(run(store, validated(store, images.written(packed, RLELossless)))), store))

    assert [one.kind for one in event.representations] == ["lossless", "thumbnail", "preview", "strip"]
    assert len(decoded) == len(PIXELS)
