"""What becomes of an instance: validated with findings, quarantined with a reason, or tried again."""

from __future__ import annotations

import hashlib
import io

import msgspec
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ColorPaletteStorage, ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from consumers.validate.config import Limits
from consumers.validate.reasons import reason_of
from consumers.validate.step import Validate
from schemas import load_subjects
from streams.clock import SystemClock
from streams.events import SUBJECTS, InstanceQuarantined, InstanceReceived, InstanceValidated, ObjectRef
from streams.identity import event_id
from streams.memory_store import MemoryStore
from streams.objects import Damaged, StoreAway
from streams.step import Done, Input, Outcome, Quarantine, RetryLater
from tests import images
from tests.received import events_of, identity, received, ref_to

UIDS = (images.STUDY, images.SERIES, images.INSTANCE)
PIXELS = np.zeros((1, 8, 6), np.uint16)


class Broken(MemoryStore):
    """A store whose reads fail."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read(self, ref: ObjectRef) -> bytes:
        raise self._error


def outcome(data: bytes, limits: Limits | None = None, uids: tuple[str, str, str] | None = UIDS) -> Outcome:
    store = MemoryStore()
    return run(store, received(store, data, uids), limits)


def run(store: MemoryStore, item: Input[InstanceReceived], limits: Limits | None = None) -> Outcome:
    (made,) = Validate(identity("validate"), store, limits or Limits())([item], SystemClock())
    return made


def rules(data: bytes) -> set[str]:
    made = outcome(data)
    assert isinstance(made, Done), made
    (event,) = made.events(())
    assert isinstance(event, InstanceValidated)
    return {finding.rule for finding in event.findings}


def test_the_verdict_says_the_hash_of_the_metadata() -> None:
    """Equal for two images that differ in pixels alone, another for one that differs in a single value."""
    hashes = []
    for pixels, patient in ((PIXELS, "TEST"), (PIXELS + 1, "TEST"), (PIXELS, "TESU")):
        made = outcome(images.native(pixels, PatientID=patient))
        assert isinstance(made, Done)
        (event,) = made.events(())
        assert isinstance(event, InstanceValidated)
        hashes.append(event.metadata_sha256)
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_the_verdict_says_who_sent_the_image() -> None:
    store = MemoryStore()
    item = received(store, images.native(PIXELS))
    made = run(store, item)
    assert isinstance(made, Done)
    (event,) = made.events(())
    assert isinstance(event, InstanceValidated)
    assert event.source == item.event.source


@pytest.mark.parametrize(("preamble", "expected"), [("program", ["preamble_program"]), ("tiff", []), (None, [])])
def test_what_stood_in_front_of_the_file_that_was_sent_is_a_finding(preamble: str | None, expected: list[str]) -> None:
    store = MemoryStore()
    item = received(store, images.native(PIXELS))
    made = run(store, Input(msgspec.structs.replace(item.event, preamble=preamble), item.record))
    assert isinstance(made, Done)
    (event,) = made.events(())
    assert isinstance(event, InstanceValidated)
    assert [one.rule for one in event.findings] == expected


def test_a_good_image_is_validated_without_findings_under_an_id_of_its_own() -> None:
    store = MemoryStore()
    item = received(store, images.native(PIXELS))

    made = run(store, item)

    assert isinstance(made, Done)
    (event,) = events_of(made, store)
    assert isinstance(event, InstanceValidated)
    digest = item.event.instance.digest
    assert event.meta.event_id == event_id("t", "validate", digest, 0, 1)
    assert (event.meta.subject, event.instance, event.object) == (digest, item.event.instance, item.event.object)
    assert event.findings == ()
    assert event.provenance.inputs == (item.ref,)


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
def test_every_native_encoding_is_read(encoding: str) -> None:
    assert rules(images.native(PIXELS, encoding)) == set()


@pytest.mark.parametrize("zeros", [2, 8, 100])
@pytest.mark.parametrize("encoding", ["big", "explicit", "implicit"])
def test_what_was_filled_up_with_zeros_is_whole(encoding: str, zeros: int) -> None:
    """Files from tapes and discs are filled up to a block; nothing of the image is missing."""
    assert rules(images.native(PIXELS, encoding) + bytes(zeros)) == {"trailing_zeros"}


def test_behind_an_unknown_value_representation_nobody_says_that_a_part_is_missing() -> None:
    held = outcome(images.native(PIXELS).replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00ZZ"))
    assert isinstance(held, Quarantine)
    assert held.code == "unreadable"
    assert "value representation" in held.detail


@pytest.mark.parametrize(
    ("limits", "zeros", "named", "other"),
    [
        (Limits(), 40 << 20, "inflated_ratio_max", "inflated_bytes_max"),
        (Limits(inflated_bytes_max=1 << 16), 1 << 20, "inflated_bytes_max", "inflated_ratio_max"),
    ],
)
def test_what_inflates_too_far_is_held_with_the_name_of_the_limit_that_it_met(
    limits: Limits, zeros: int, named: str, other: str
) -> None:
    held = outcome(images.raw_file(images.deflated(bytes(zeros)), images.NATIVE["deflated"]), limits)

    assert isinstance(held, Quarantine)
    assert held.code == "too_complex"
    assert named in held.detail
    assert other not in held.detail


def test_a_dicomdir_is_said_to_be_the_directory_of_a_medium_and_not_an_image_without_a_uid() -> None:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.FileSetID = "DISC"
    out = io.BytesIO()
    pydicom.dcmwrite(out, made, enforce_file_format=True)
    held = outcome(out.getvalue(), uids=None)
    assert isinstance(held, Quarantine)
    assert held.code == "media_directory"
    for text in (held.detail, reason_of(held.code).text):
        assert "DICOMDIR" in text
        assert "UID" not in text
    assert "images" in reason_of(held.code).todo


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "unreadable"),
        (b"not DICOM" * 100, "unreadable"),
        (images.native(PIXELS)[:140], "truncated"),
        (images.native(PIXELS)[:-140], "truncated"),
        (images.raw_file(b"\xff" * 100, images.NATIVE["deflated"]), "unreadable"),
        (images.written(images.data_set(StudyInstanceUID="")), "unidentifiable"),
        (images.written(images.data_set(SOPClassUID=ColorPaletteStorage, StudyInstanceUID="")), "without_study"),
        (images.raw_file(b""), "unidentifiable"),
        (images.native(PIXELS).replace(b"1.2.3.1\0", b"1.2/3.1\0"), "illegal_uid"),
    ],
    ids=["empty", "other", "cut-in-header", "cut", "not-deflated", "no-study", "palette", "nothing", "illegal"],
)
def test_what_is_unreadable_or_unidentifiable_is_quarantined(data: bytes, code: str) -> None:
    made = outcome(data)

    assert isinstance(made, Quarantine), made
    assert made.code == code
    assert made.detail.endswith(".")


def test_the_published_example_is_what_is_said_of_an_image_without_a_study() -> None:
    (example,) = load_subjects()[SUBJECTS[InstanceQuarantined]].examples
    made = outcome(images.written(images.data_set(StudyInstanceUID="")))

    assert isinstance(made, Quarantine)
    assert (made.code, made.detail) == (example["code"], example["detail"])


def test_other_uids_than_the_event_named_are_quarantined() -> None:
    made = outcome(images.native(PIXELS), uids=(images.STUDY, images.SERIES, "1.2.3.4"))

    assert isinstance(made, Quarantine)
    assert made.code == "uids_differ"


def test_limits_quarantine_what_would_cost_too_much() -> None:
    data = images.native(PIXELS)

    for limits, code in ((Limits(elements_max=3), "too_complex"), (Limits(object_bytes_max=100), "too_large")):
        made = outcome(data, limits)
        assert isinstance(made, Quarantine)
        assert made.code == code


def test_an_absent_object_waits_alone_and_a_store_that_is_away_holds_everybody() -> None:
    store = MemoryStore()
    item = received(store, images.native(PIXELS))
    lost = msgspec.structs.replace(item.event, object=ref_to(b"gone", "nowhere"))

    absent = run(store, Input(lost, item.record))
    away = run(Broken(StoreAway("no answer")), item)

    assert isinstance(absent, RetryLater)
    assert isinstance(away, RetryLater)
    assert (absent.scope, away.scope) == ("subject", "world")


def test_bytes_that_are_not_those_acknowledged_are_quarantined() -> None:
    made = run(Broken(Damaged("other")), received(MemoryStore(), images.native(PIXELS)))

    assert isinstance(made, Quarantine)
    assert made.code == "hash_mismatch"


def test_a_sop_class_that_is_no_uid_is_a_finding_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    data = images.native(PIXELS).replace(images.CT.encode(), b"1.2/DOE^JANE".ljust(len(images.CT), b"/"))

    assert {"sop_class_unknown", "uid"} <= rules(data)
    assert "JANE" not in caplog.text


RGB = np.zeros((1, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (images.native(PIXELS)[:-10], "pixel_length"),
        (images.native(PIXELS, Rows=9), "pixel_length"),
        (images.native(PIXELS, Rows=4), "pixel_length_excess"),
        (images.native(PIXELS, NumberOfFrames=2), "pixel_length"),
        (images.native(RGB, photometric="YBR_FULL_422"), "pixel_length_excess"),
        (images.native(PIXELS, BitsAllocated=0), "pixel_header"),
        (images.native(PIXELS, BitsAllocated=None), "type_1_empty"),
        (images.written(images.image(PIXELS)), "type_1c_missing"),
        (images.written(images.image(PIXELS, SOPClassUID="1.2.3")), "pixel_data_missing"),
        (images.native(PIXELS, Modality=""), "type_1_empty"),
        (images.native(PIXELS, PatientID=""), "patient_id_empty"),
        (images.native(PIXELS, SOPClassUID="1.2.3"), "sop_class_unknown"),
        (images.native(PIXELS).replace(b"1.2.3.2\0", b"1.02.32\0"), "uid_leading_zero"),
        (images.native(PIXELS).replace(b"10008.1.2.1\0", b"10008.1.2.5\0"), "pixel_encoding"),
        (images.compressed(np.zeros((3, 8, 6), np.uint16), [b"\0\0"] * 2, "1.2.840.10008.1.2.4.80"), "frames"),
        (
            images.compressed(PIXELS, [b"\0\0"], "1.2.840.10008.1.2.4.80").replace(b".1.2.4.80", b".1.2.4.89"),
            "transfer_syntax_unknown",
        ),
        (images.compressed(PIXELS, [b"\0\0"], "1.2.840.10008.1.2.4.80")[:-6], "pixel_length"),
    ],
)
def test_everything_else_flows_with_a_finding(data: bytes, rule: str) -> None:
    made = outcome(data, uids=(images.STUDY, "1.02.32", images.INSTANCE) if rule == "uid_leading_zero" else UIDS)

    assert isinstance(made, Done), made
    (event,) = made.events(())
    assert isinstance(event, InstanceValidated)
    assert rule in {finding.rule for finding in event.findings}
    for finding in event.findings:
        assert finding.text.endswith(".")
        assert finding.section


def test_an_object_that_is_no_image_needs_no_pixels() -> None:
    report = images.data_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")

    assert not {rule for rule in rules(images.written(report)) if rule.startswith("pixel")}


def test_findings_carry_no_value_of_the_file() -> None:
    secret = "DOE^JANE"
    made = outcome(images.native(PIXELS, Rows=9, Modality="", PatientName=secret, StudyDescription=secret))

    assert isinstance(made, Done)
    assert secret.encode() not in msgspec.json.encode(made.events(()))


def test_the_same_bytes_make_the_same_event_but_for_the_clock() -> None:
    data = images.native(PIXELS, Rows=9)
    first, second = outcome(data), outcome(data)

    assert isinstance(first, Done)
    assert isinstance(second, Done)
    (one,), (two,) = first.events(()), second.events(())
    assert one.meta.event_id == two.meta.event_id
    assert one.meta.subject == hashlib.sha256(data).hexdigest()
