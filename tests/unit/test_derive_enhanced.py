"""An enhanced image is a thing of its own: it says so, it refers to its source, and its source is as it was."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from consumers.derive.config import Enhancement, EnhancementRule, Output
from consumers.derive.enhanced import Asked, enhanced_object
from consumers.derive.enhancing import Enhancing
from consumers.derive.pack import Part
from consumers.derive.step import Derive
from infra.local.tools import checkers
from radstream.__main__ import cli
from radstream.errors import Failure
from streams import part10
from streams.clock import SystemClock
from streams.events import InstanceDerived
from streams.identity import uid_of_event
from streams.memory_store import MemoryStore
from streams.pixels.frames import Frames
from streams.pixels.image import describe
from streams.routes.rules import Match
from streams.step import Done
from tests import images
from tests.received import events_of, identity, validated

CLAHE, MEDIAN = Enhancing(), Enhancing("median")
# A faint ramp on the left, a bright one on the right, and noise.
NOISE = np.random.default_rng(1).integers(0, 20, (64, 96))
FAINT: NDArray[np.uint16] = (np.where(np.arange(96) < 48, 300, 3000) + np.arange(96) + NOISE).astype(np.uint16)[None]


def made(data: bytes, how: Enhancing = CLAHE) -> Part | str:
    file = part10.read(data)
    image = describe(file, 1 << 24)
    assert not isinstance(image, str)
    return enhanced_object(file, image, Frames(file, image), Asked(how, "2.25.1", "2.25.2"), 1 << 24)


def opened(data: bytes, how: Enhancing = CLAHE) -> Dataset:
    part = made(data, how)
    assert isinstance(part, Part), part
    return pydicom.dcmread(io.BytesIO(part.data))


@pytest.mark.parametrize(("how", "code"), [(CLAHE, "CLAHE"), (MEDIAN, "113087")])
def test_it_says_what_it_is_what_it_is_made_of_and_what_it_is_not_for(how: Enhancing, code: str) -> None:
    source = images.native(FAINT, bits_stored=12)
    read = opened(source, how)

    assert list(read.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert "not for primary reading" in read.SeriesDescription
    assert "not for primary reading" in read.DerivationDescription
    assert read.DerivationCodeSequence[0].CodeValue == code
    reference = read.SourceImageSequence[0]
    assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (images.CT, images.INSTANCE)
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert (read.SOPInstanceUID, read.file_meta.MediaStorageSOPInstanceUID, read.SeriesInstanceUID) == (
        *("2.25.1", "2.25.1"),
        "2.25.2",
    )
    assert (read.StudyInstanceUID, read.PatientID) == (images.STUDY, "TEST")


def test_local_contrast_grows_and_the_values_stay_within_their_range_and_window() -> None:
    read = opened(images.native(FAINT, bits_stored=12, WindowCenter="40", WindowWidth="400", RescaleIntercept="-1000"))
    after = read.pixel_array.astype(int)

    assert np.ptp(after[:, :40]) > 3 * np.ptp(FAINT[0, :, :40].astype(int))
    assert (after.min() >= FAINT.min(), after.max() <= FAINT.max()) == (True, True)
    assert read.WindowWidth >= np.ptp(FAINT)
    assert read.WindowCenter == (int(FAINT.min()) + int(FAINT.max()) + 1) / 2 - 1000
    assert read.RescaleType == "US"  # they are no Hounsfield units any more


def test_the_median_takes_a_speck_away_and_keeps_values_and_windows() -> None:
    pixels = np.full((1, 32, 32), -700, np.int16)
    pixels[0, 5, 5] = 1500
    read = opened(images.native(pixels, WindowCenter="40", WindowWidth="400"), MEDIAN)

    assert (read.pixel_array == -700).all()
    assert (read.WindowCenter, "RescaleType" in read) == (40, False)


def test_padding_stays_and_does_not_count() -> None:
    pixels = FAINT.astype(np.int16)
    pixels[0, :10] = -2000
    read = opened(images.native(pixels, PixelPaddingValue=-2000))

    assert (read.pixel_array[:10] == -2000).all()
    assert read.pixel_array[10:].min() >= FAINT.min()


def test_of_compressed_frames_too_and_what_arrived_lossy_says_so() -> None:
    codestream = bytes(imagecodecs.jpegls_encode(FAINT[0]))
    exact = opened(images.compressed(FAINT, [codestream], "1.2.840.10008.1.2.4.80", bits_stored=16))
    lossy = opened(images.compressed(FAINT, [codestream], "1.2.840.10008.1.2.4.81", bits_stored=16))

    np.testing.assert_array_equal(exact.pixel_array, lossy.pixel_array)
    assert ("LossyImageCompression" in exact, lossy.LossyImageCompression) == (False, "01")


def test_what_it_cannot_say_truly_it_does_not_make() -> None:
    colour = np.zeros((1, 16, 16, 3), np.uint8)
    grouped = images.native(FAINT, SharedFunctionalGroupsSequence=[Dataset()])

    assert made(images.native(colour)) == "enhancement_unsupported"
    assert made(grouped) == "enhancement_unsupported"
    assert made(images.native(FAINT, SOPClassUID="1.2.840.10008.5.1.4.1.1.128")) == "enhancement_unsupported"
    assert made(images.native(FAINT | 0x8000, bits_stored=12)) == "bits_beyond_stored"
    assert made(images.native(FAINT).replace(b"1.2.3.3", b"1.2.3.x")) == "unconvertible"
    assert isinstance(made(images.native(np.full((1, 1, 1), 7, np.uint8))), Part)


def test_no_image_gets_one_unless_a_site_asks() -> None:
    asked = Output(
        enhancement=Enhancement(rules=(EnhancementRule(match=Match(tags={"Modality": "CT"}), method="clahe"),))
    )
    store, data = MemoryStore(), images.native(FAINT, bits_stored=12)

    assert [one.kind for one in derived(store, Output(), data).representations] == ["lossless", "thumbnail", "preview"]
    event = derived(MemoryStore(), asked, data)

    assert [one.kind for one in event.representations] == ["lossless", "thumbnail", "preview", "enhanced"]


def test_the_object_has_the_uid_of_its_event_and_the_original_is_as_it_was() -> None:
    store, data = MemoryStore(), images.native(FAINT, bits_stored=12)
    event = derived(store, Output(enhancement=Enhancement(method="median")), data)
    read = pydicom.dcmread(io.BytesIO(bytes(store.read(event.representations[-1].object))))

    assert read.SOPInstanceUID == uid_of_event(event.meta.event_id)
    assert read.SeriesInstanceUID.startswith("2.25.")
    assert event.instance.sop_instance_uid != read.SOPInstanceUID
    assert event.instance.digest == hashlib.sha256(data).hexdigest()


def derived(store: MemoryStore, output: Output, data: bytes) -> InstanceDerived:
    item = validated(store, data)
    (outcome,) = Derive(identity("derive"), store, output)([item], SystemClock())
    assert isinstance(outcome, Done)
    (event,) = events_of(outcome, store)
    assert isinstance(event, InstanceDerived)
    assert bytes(store.read(item.event.object)) == data
    return event


def enhance(*arguments: object) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(cli, ["enhance", *map(str, arguments)])
    return done.exit_code, done.output, done.exception


def test_on_request_the_same_file_and_options_make_the_same_object(tmp_path: Path) -> None:
    file, one, two = (tmp_path / name for name in ("a.dcm", "one.dcm", "two.dcm"))
    file.write_bytes(images.native(FAINT, bits_stored=12))
    before = file.read_bytes()

    code, said, error = enhance(file, "-o", one, "--clahe", "2", "--json")
    assert code == 0, error
    assert json.loads(said)["method"] == "clahe"
    assert enhance(file, "-o", two, "--clahe", "2")[0] == 0
    assert one.read_bytes() == two.read_bytes()
    assert enhance(file, "-o", two, "--denoise", "3")[0] == 0
    assert pydicom.dcmread(one).SOPInstanceUID != pydicom.dcmread(two).SOPInstanceUID
    assert isinstance(enhance(file, "-o", two)[2], Failure)
    assert isinstance(enhance(file, "-o", file, "--clahe", "2")[2], Failure)
    assert file.read_bytes() == before


@pytest.mark.parametrize("how", [CLAHE, MEDIAN])
def test_dciodvfy_has_nothing_to_say_that_it_does_not_say_of_the_source(tmp_path: Path, how: Enhancing) -> None:
    validator = checkers.find("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not there (Debian's package dicom3tools); `make test` unpacks it where apt is")
    source = images.native(FAINT, bits_stored=12, WindowCenter="40", WindowWidth="400")
    part = made(source, how)
    assert isinstance(part, Part)

    def errors(data: bytes) -> set[str]:
        (tmp_path / "image.dcm").write_bytes(data)
        ran = subprocess.run([validator, tmp_path / "image.dcm"], capture_output=True, text=True, check=False)
        return {line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("Error")}

    assert errors(part.data) <= errors(source)
