"""Files that nobody here wrote: each ends as a verdict that agrees with what is known of it, none as a dead process."""

from __future__ import annotations

import hashlib
import io
import time
import warnings
from collections.abc import Iterator

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array

from consumers.derive.config import Output
from consumers.derive.step import Derive
from consumers.validate.config import Limits
from consumers.validate.step import Validate
from streams.clock import SystemClock
from streams.events import InstanceDerived, InstanceValidated, Representation
from streams.memory_store import MemoryStore
from streams.step import Done, Quarantine
from tests.received import CORPUS, events_of, identity, manifest, received, validated

SECONDS_MAX = 1.0
# Palettes are valid objects of no study: what has no Study Instance UID has no place in an archive of studies.
WITHOUT_STUDY = "1.2.840.10008.5.1.4.39.1"

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]


def files() -> Iterator[tuple[dict[str, str], bytes]]:
    for row in manifest():
        yield row, (CORPUS / row["file"]).read_bytes()


def test_every_file_is_validated_or_quarantined_as_it_deserves() -> None:
    store = MemoryStore()
    validate = Validate(identity("validate"), store, Limits())
    wrong = []
    for row, data in files():
        item = received(store, data)
        start = time.process_time()
        (outcome,) = validate([item], SystemClock())
        seconds = time.process_time() - start
        verdict = _verdict(outcome, store)
        expected = row["expect"].split(":")[0]
        if expected == "valid" and verdict != "ok" and row["sop_class_uid"] != WITHOUT_STUDY:
            wrong.append((row["file"], verdict))
        if expected in ("malformed", "not-storable") and verdict == "ok":
            wrong.append((row["file"], verdict))
        if seconds > SECONDS_MAX:
            wrong.append((row["file"], f"{seconds:.1f} s"))

    assert wrong == []


def _verdict(outcome: object, store: MemoryStore) -> str:
    if isinstance(outcome, Quarantine):
        return outcome.code
    assert isinstance(outcome, Done)
    (event,) = events_of(outcome, store)
    assert isinstance(event, InstanceValidated)
    return next((finding.rule for finding in event.findings if finding.severity == "error"), "ok")


def test_every_lossless_copy_has_the_pixels_and_the_elements_of_its_source() -> None:
    store = MemoryStore()
    derive = Derive(identity("derive"), store, Output())
    wrong, copies = [], 0
    for row, data in files():
        item = validated(store, data)
        start = time.process_time()
        (outcome,) = derive([item], SystemClock())
        if time.process_time() - start > SECONDS_MAX:
            wrong.append((row["file"], "slow"))
        assert isinstance(outcome, Done)
        (event,) = events_of(outcome, store)
        assert isinstance(event, InstanceDerived)
        assert event.representations or event.notes
        for one in event.representations:
            part = store.read(one.object)
            assert hashlib.sha256(part).hexdigest() == one.object.sha256
            if one.kind == "lossless":
                copies += 1
                wrong += [(row["file"], what) for what in _differences(data, part, one)]

    assert wrong == []
    assert copies > 100


def _differences(data: bytes, part: bytes, one: Representation) -> Iterator[str]:
    with warnings.catch_warnings():
        # Foreign files hold values that pydicom warns of, in the source as in the copy.
        warnings.simplefilter("ignore")
        source, copy = pydicom.dcmread(io.BytesIO(data)), pydicom.dcmread(io.BytesIO(part))
        frames = generate_frames(copy.PixelData, number_of_frames=len(one.frames))
        decoded = np.stack([imagecodecs.htj2k_decode(frame, planar=False) for frame in frames])
        expected: NDArray[np.integer] = pixel_array(source, raw=True)
        if not np.array_equal(decoded.reshape(expected.shape), expected):
            yield "pixels"
        for element in source:
            if element.tag in (0x7FE00010, 0x00280004, 0x00280006) or element.tag.element == 0:
                continue
            # A private element of an implicit VR source has no VR that could be known.
            if element.tag not in copy or (copy[element.tag] != element and copy[element.tag].VR != "UN"):
                yield str(element.tag)
