"""Stored enhanced objects come out as files of their own series, and what is missing is named by its image."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydicom
import pytest

from consumers.catalog.enhanced import Enhanced
from consumers.derive.config import Output
from consumers.derive.enhanced import Asked, enhanced_object
from consumers.derive.enhancing import Enhancing
from consumers.derive.pack import Part
from radstream.getting import Got
from radstream.getting_enhanced import get_enhanced
from streams import part10
from streams.identity import derived_key
from streams.memory_store import MemoryStore
from streams.pixels.frames import Frames
from streams.pixels.image import Image, describe
from streams.step import NewObject
from tests import images

STUDY = "1.2.3"


def made(number: int) -> bytes:
    """An enhanced object, as derive makes it."""
    file = part10.read(images.native(np.arange(64 * 48, dtype=np.uint16).reshape(1, 64, 48)))
    image = describe(file, Output().frame_bytes_max)
    assert isinstance(image, Image)
    asked = Asked(Enhancing(method="clahe"), f"2.25.{number}", "2.25.77")
    part = enhanced_object(file, image, Frames(file, image), asked, Output().pixel_bytes_max)
    assert isinstance(part, Part), part
    return part.data


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def kept(store: MemoryStore, number: int) -> Enhanced:
    """Beside other things in one object."""
    data = made(number)
    ref = store.create(NewObject("t", "hot", derived_key("t", f"event-{number}"), b"thumbnail" + data)).ref
    place = (ref.store, ref.key, ref.version_id, len(b"thumbnail"), len(data), ref.size)
    return Enhanced("1.2.3.4", f"1.2.3.4.{number}", *place, sha256(data).hexdigest())


def got(store: MemoryStore, folder: Path, *objects: Enhanced) -> Got:
    return get_enhanced(store, "t", STUDY, objects, folder)


def test_each_is_written_under_its_own_series_and_name_and_a_second_time_is_there(
    store: MemoryStore, tmp_path: Path
) -> None:
    objects = [kept(store, 1), kept(store, 2)]
    first, second = got(store, tmp_path, *objects), got(store, tmp_path, *objects)
    assert (first.files, first.there, first.missed, first.stores) == (2, 0, [], {"hot": 2})
    assert first.bytes == sum(one.length for one in objects)
    assert (second.files, second.there) == (0, 2)
    read = pydicom.dcmread(io.BytesIO((tmp_path / "2.25.77" / "2.25.1.dcm").read_bytes()))
    assert (read.SOPInstanceUID, read.ImageType[0]) == ("2.25.1", "DERIVED")


def test_what_is_gone_or_in_the_way_is_named_by_its_image(store: MemoryStore, tmp_path: Path) -> None:
    gone, other = kept(store, 1), kept(store, 2)
    del store._held[gone.store, gone.key]
    path = tmp_path / "2.25.77" / "2.25.2.dcm"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    found = got(store, tmp_path, gone, other)
    assert [one.sop_instance_uid for one in found.missed] == ["1.2.3.4.1", "1.2.3.4.2"]
    assert "replay run derive" in found.missed[0].reason
    assert path.read_bytes() == b"mine"
