"""Headers that are read alone: right, whatever a disk did to them, and without reading more than has to be."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from gateway.dicomweb.heads import HEAD_BYTES, Head, Heads
from gateway.dicomweb.served import Served
from gateway.kept import Kept
from gateway.reading import Blob, Reading
from gateway.workers import Workers
from streams import part10
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests import functional_groups
from tests.images import CT, native

KEY = "general/studies/1/2/3/x.dcm"
PIXELS = np.arange(512 * 512, dtype=np.uint16).reshape((1, 512, 512))
PLAIN = native(PIXELS, PatientID="RIGHT")
FILE = native(PIXELS, PatientID="RIGHT", DataSetTrailingPadding=b"right\0")


class CountingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.read_bytes = 0

    def read(self, ref: ObjectRef) -> bytes:
        self.read_bytes += ref.length
        return super().read(ref)

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        self.read_bytes += length
        return super().read_range(ref, start, length)


def flipped(said: bytes) -> bytes:
    at = FILE.index(said)
    return FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]


def head_of(
    store: MemoryStore,
    proof: str | None,
    *,
    alone: bool = False,
    file: bytes = FILE,
    syntax: str = ExplicitVRLittleEndian,
) -> Head:
    sha256 = hashlib.sha256(file).hexdigest()
    ref = ObjectRef(tenant="general", store="hot", key=KEY, length=len(file), size=len(file), sha256=sha256)
    blob = Blob(tuple(msgspec.structs.replace(ref, store=name) for name in ("hot", "warm")))
    served = Served("1", "2", "3", CT, syntax, 1, 1, 512, 512, blob, ())

    async def proofs(digests: Sequence[str]) -> Mapping[str, str]:
        assert digests == [sha256]
        return {} if proof is None else {sha256: proof}

    async def run() -> Head:
        workers, kept = Workers(2), Kept(1 << 20, None, 0)
        heads = Heads(Reading(store, workers, kept, 1 << 20), workers, kept, proofs)
        return await heads.of(served) if alone else (await heads.of_many([served]))[0]

    return asyncio.run(run())


def said(head: Head) -> tuple[str, bool]:
    model = msgspec.json.decode(head.model)
    return model["00100020"]["Value"][0], "FFFCFFFC" in model


PROOF = part10.metadata_sha256(part10.read(FILE))


def test_no_more_is_read_than_the_header() -> None:
    store = CountingStore()
    store.create(NewObject("general", "hot", KEY, PLAIN))
    proof = part10.metadata_sha256(part10.read(PLAIN))
    assert said(head_of(store, proof, file=PLAIN)) == ("RIGHT", False)
    assert store.read_bytes < 2 * HEAD_BYTES < len(PLAIN)


def test_the_header_of_thousands_of_frames_is_read() -> None:
    file, store = functional_groups.enhanced(frames=5_000, macros=9, side=32), MemoryStore()
    store.create(NewObject("general", "hot", KEY, file))
    pixels = head_of(store, part10.metadata_sha256(part10.read(file)), alone=True, file=file).pixels
    assert pixels is not None
    assert pixels.frames == 5_000


def test_what_it_was_made_of_ends_where_the_pixels_begin() -> None:
    """That is compared when the whole was found right: for each slice that is shown."""
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, PLAIN))
    head = head_of(store, part10.metadata_sha256(part10.read(PLAIN)), file=PLAIN)
    assert head.pixels is not None
    assert head.read == head.pixels.at
    assert head.sha256 == hashlib.sha256(PLAIN[: head.read]).hexdigest()


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("proof", [PROOF, None])
@pytest.mark.parametrize("where", [b"RIGHT", b"right", b"1.2.840.10008.1.2.1", b"CT"])
def test_a_flipped_bit_is_found_and_another_copy_read(where: bytes, proof: str | None, alone: bool) -> None:
    hurt, whole = CountingStore(), CountingStore()
    for store, held in ((hurt, flipped(where)), (whole, FILE)):
        store.create(NewObject("general", "hot", KEY, held))
        store.create(NewObject("general", "warm", KEY, FILE))
    assert head_of(hurt, proof, alone=alone).model == head_of(whole, PROOF).model


def test_the_vr_of_pixel_data_is_theirs_whatever_a_disk_did_to_it() -> None:
    """No digest of the header is of it."""
    at = PLAIN.index(b"\xe0\x7f\x10\0OW") + 5
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, PLAIN[:at] + b"V" + PLAIN[at + 1 :]))
    store.create(NewObject("general", "warm", KEY, PLAIN))
    pixels = head_of(store, part10.metadata_sha256(part10.read(PLAIN)), file=PLAIN).pixels
    assert pixels is not None
    assert pixels.vr == "OW"


@pytest.mark.parametrize("bit", [0, 9, 31])
def test_pixel_data_in_items_are_that_whatever_a_disk_did_to_their_length(bit: int) -> None:
    """Which no digest of the header is of, and which says that they are in items (PS3.5 annex A.4)."""
    read = pydicom.dcmread(io.BytesIO(native(PIXELS)))
    read.compress(RLELossless, generate_instance_uid=False)
    written = io.BytesIO()
    read.save_as(written)
    file = written.getvalue()
    proof = part10.metadata_sha256(part10.read(file))
    at = file.index(b"\xe0\x7f\x10\0O") + 8 + bit // 8
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, file[:at] + bytes([file[at] ^ 1 << bit % 8]) + file[at + 1 :]))
    store.create(NewObject("general", "warm", KEY, file))
    pixels = head_of(store, proof, file=file, syntax=str(RLELossless)).pixels
    assert pixels is not None
    assert (pixels.encapsulated, pixels.end) == (True, len(file))


def test_it_is_what_pydicom_reads() -> None:
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, FILE))
    pixels = head_of(store, PROOF).pixels
    assert pixels is not None
    assert FILE[pixels.at : pixels.end] == pydicom.dcmread(io.BytesIO(FILE)).PixelData


def keys_of(head: Head) -> list[str]:
    """The tags that the model has, as often as it has them."""
    # The outermost object is the last that ends.
    keys: list[str] = []

    def seen(pairs: list[tuple[str, object]]) -> None:
        keys[:] = [tag for tag, _ in pairs]

    json.loads(head.model, object_pairs_hook=seen)
    return keys


def in_items(file: bytes) -> bytes:
    read = pydicom.dcmread(io.BytesIO(file))
    read.compress(RLELossless, generate_instance_uid=False)
    written = io.BytesIO()
    read.save_as(written)
    return written.getvalue()


# Behind the pixels of a file that is read whole for its header: padding, and signatures that end as pixels in items do.
TINY = np.arange(64, dtype=np.uint16).reshape((1, 8, 8))
PADDED = native(TINY, PatientID="RIGHT", DataSetTrailingPadding=b"right\0")
SIGNATURES = b"\xfa\xff\xfa\xffSQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0"
AGAIN = b"\x10\0\x20\0LO\x06\0WRONG "


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("is_proven", [False, True])
@pytest.mark.parametrize(
    ("file", "syntax", "behind"),
    [
        (PADDED, ExplicitVRLittleEndian, ["FFFCFFFC"]),
        (in_items(PADDED), RLELossless, ["FFFCFFFC"]),
        (in_items(native(TINY, PatientID="RIGHT")) + SIGNATURES, RLELossless, ["FFFAFFFA"]),
        (native(TINY, PatientID="RIGHT") + SIGNATURES, ExplicitVRLittleEndian, ["FFFAFFFA"]),
        (native(TINY, PatientID="RIGHT") + AGAIN, ExplicitVRLittleEndian, []),
    ],
)
def test_what_stands_behind_the_pixels_is_said_once(
    file: bytes, syntax: str, behind: list[str], is_proven: bool, alone: bool
) -> None:
    """Before, a small file's was said twice: as it was read with the header, and as it was read alone."""
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, file))
    proof = part10.metadata_sha256(part10.read(file)) if is_proven else None
    head = head_of(store, proof, file=file, syntax=str(syntax), alone=alone)
    keys = keys_of(head)
    assert keys == [*sorted(set(keys) - set(behind)), *behind]
    assert said(head)[0] == "RIGHT"
    assert head.sha256 == hashlib.sha256(file[: head.read]).hexdigest()
    assert head.pixels is not None
    assert head.read == head.pixels.at


def test_what_stands_behind_the_pixels_of_a_deflated_data_set_is_said_once() -> None:
    file = native(TINY, "deflated", PatientID="RIGHT", DataSetTrailingPadding=b"right\0")
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, file))
    keys = keys_of(head_of(store, None, file=file, syntax=str(DeflatedExplicitVRLittleEndian)))
    assert keys.count("FFFCFFFC") == 1
    assert len(keys) == len(set(keys))
