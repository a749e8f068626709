"""The bounded reader: what it reads, and that nothing it is fed makes it fail or cost much."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.dicom_router import tags
from producers.dicom_router.header import SERIES, SERIES_BLOCK, SOP_INSTANCE, STUDY, STUDY_BLOCK, read_header
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN
from tests.routers import EXPLICIT, IMPLICIT, Ct, explicit, implicit

DEFLATED = "1.2.840.10008.1.2.1.99"
SYNTAXES = (EXPLICIT, IMPLICIT, EXPLICIT_VR_BIG_ENDIAN, DEFLATED, "1.2.840.10008.1.2.4.90", "1.2.3")


def big_endian(ct: Ct) -> bytes:
    swapped = {b"US": lambda value: value[::-1]}
    return b"".join(explicit(tag, vr, swapped.get(vr, bytes)(value), ">") for tag, vr, value in ct.elements())


@pytest.mark.parametrize(
    ("transfer_syntax", "data_set"),
    [
        (EXPLICIT, Ct().data_set()),
        (IMPLICIT, Ct().implicit_data_set()),
        (EXPLICIT_VR_BIG_ENDIAN, big_endian(Ct())),
        (DEFLATED, zlib.compress(Ct().data_set(), wbits=-15)),
        # Mislabelled: found out by trying.
        (IMPLICIT, Ct().data_set()),
        (EXPLICIT, Ct().implicit_data_set()),
        (EXPLICIT, big_endian(Ct())),
        (DEFLATED, Ct().data_set()),
    ],
)
def test_identity_and_attributes_are_read_in_every_encoding(transfer_syntax: str, data_set: bytes) -> None:
    header = read_header(data_set, transfer_syntax)

    assert (header.uid(STUDY), header.uid(SERIES), header.uid(SOP_INSTANCE)) == ("1.2.3", "1.2.3.4", "1.2.3.4.5")
    technical = header.technical()
    assert (technical.modality, technical.rows, technical.columns, technical.instance_number) == ("CT", 8, 8, 7)
    assert header.protected(STUDY_BLOCK) == {
        "PatientID": "MRN-4711",
        "PatientName": "Doe^Jane",
        "StudyDescription": "Chest of a patient",
    }
    assert header.protected(SERIES_BLOCK) == {"SeriesDescription": "Lung window"}


def requests_of(items: list[tuple[bytes, bytes]], *, is_explicit: bool, is_defined: bool) -> bytes:
    """A Request Attributes Sequence: IDs of the scheduled step and of the procedure, empty where one has none."""
    element = explicit if is_explicit else lambda tag, _, value: implicit(tag, value)
    parts = b""
    for step, procedure in items:
        inside = (element(0x00400009, b"SH", step) if step else b"") + element(0x00400007, b"LO", b"lung")
        inside += element(0x00401001, b"SH", procedure) if procedure else b""
        head = struct.pack("<HHI", 0xFFFE, 0xE000, len(inside) if is_defined else 0xFFFFFFFF)
        parts += head + inside + (b"" if is_defined else b"\xfe\xff\x0d\xe0\0\0\0\0")
    length = struct.pack("<I", len(parts) if is_defined else 0xFFFFFFFF)
    end = b"" if is_defined else b"\xfe\xff\xdd\xe0\0\0\0\0"
    return b"\x40\0\x75\x02" + (b"SQ\0\0" if is_explicit else b"") + length + parts + end


@pytest.mark.parametrize("is_explicit", [True, False])
@pytest.mark.parametrize("is_defined", [True, False])
def test_what_was_asked_for_is_read_out_of_its_items(is_explicit: bool, is_defined: bool) -> None:
    before = Ct(pixels=b"").data_set() if is_explicit else Ct(pixels=b"").implicit_data_set()
    before = before[: -12 if is_explicit else -8]  # Without the head of pixel data.
    sequence = requests_of([(b"S1", b"R1"), (b"", b"R2"), (b"", b"")], is_explicit=is_explicit, is_defined=is_defined)
    header = read_header(before + sequence, EXPLICIT if is_explicit else IMPLICIT)
    assert header.protected(SERIES_BLOCK)["RequestAttributesSequence"] == "S1\\R1\\\\R2"


def test_a_request_that_is_broken_takes_nothing_else_away() -> None:
    whole = requests_of([(b"S1", b"R1")], is_explicit=True, is_defined=True)
    for cut in range(8, len(whole)):
        header = read_header(Ct(pixels=b"").data_set()[:-12] + whole[:cut], EXPLICIT)
        assert header.protected(SERIES_BLOCK)["SeriesDescription"] == "Lung window"
    foreign = whole[:12] + b"x" * (len(whole) - 12)
    header = read_header(Ct(pixels=b"").data_set()[:-12] + foreign, EXPLICIT)
    assert "RequestAttributesSequence" not in header.protected(SERIES_BLOCK)


def test_elements_behind_sequences_of_undefined_length_are_found() -> None:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + explicit(0x00080018, b"UI", b"9.9")
    inner = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    outer = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
    sequence = b"\x08\x00\x00\x01SQ\0\0\xff\xff\xff\xff" + outer + b"\xfe\xff\xdd\xe0\0\0\0\0"

    header = read_header(sequence + Ct().data_set()[0:0] + explicit(0x0020000D, b"UI", b"1.2.3"), EXPLICIT)

    assert header.uid(STUDY) == "1.2.3"
    assert header.uid(SOP_INSTANCE) == ""


@pytest.mark.parametrize(
    "uid", ["", "1.2.x", "Doe^Jane", "1..2", ".1", "1.", "1" * 65, "1.2\\1.3", "１.２", "1.2\n", "../../etc"]
)
def test_a_uid_that_cannot_be_a_name_is_left_empty(uid: str) -> None:
    header = read_header(explicit(SOP_INSTANCE, b"UI", uid.encode()), EXPLICIT)
    assert header.uid(SOP_INSTANCE) == ""


def test_values_that_their_vr_does_not_allow_are_left_out() -> None:
    odd = Ct(
        more={
            0x00080060: (b"CS", b"Jane Doe"),
            0x00180015: (b"CS", b"CHEST OF MRS. DOE"),
            0x00200011: (b"IS", b"99999999999"),
            0x00200013: (b"IS", b"1.5"),
            0x00280008: (b"IS", b"-3"),
            0x00280010: (b"US", b"12345678"),
        }
    )
    technical = read_header(odd.data_set(), EXPLICIT).technical()
    assert technical.modality is technical.body_part is technical.series_number is None
    assert technical.instance_number is technical.frames is technical.rows is None


def test_a_name_typed_into_a_code_string_stays_out_of_events() -> None:
    typed = Ct(more={0x00080060: (b"CS", b"DOE"), 0x00180015: (b"CS", b"DOE JANE 1961")})
    technical = read_header(typed.data_set(), EXPLICIT).technical()
    assert technical.modality is technical.body_part is None


def test_defined_terms_travel() -> None:
    said = Ct(more={0x00080060: (b"CS", b"MR"), 0x00180015: (b"CS", b"LSPINE")})
    technical = read_header(said.data_set(), EXPLICIT).technical()
    assert (technical.modality, technical.body_part) == ("MR", "LSPINE")


@pytest.mark.parametrize(
    ("character_set", "raw", "text"),
    [
        (b"ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        (b"ISO_IR 192", "王^小东".encode(), "王^小东"),
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        (b"no such set", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 192", b"M\xfcller", "M\N{REPLACEMENT CHARACTER}ller"),
    ],
)
def test_text_is_decoded_by_its_character_set(character_set: bytes, raw: bytes, text: str) -> None:
    ct = Ct(more={0x00080005: (b"CS", character_set), 0x00100010: (b"PN", raw)})
    assert read_header(ct.data_set(), EXPLICIT).protected(STUDY_BLOCK)["PatientName"] == text


@given(st.binary(max_size=2048), st.sampled_from(SYNTAXES))
def test_any_bytes_are_a_header_of_something(data: bytes, transfer_syntax: str) -> None:
    header = read_header(data, transfer_syntax)
    header.technical()
    header.protected(STUDY_BLOCK)
    header.protected(SERIES_BLOCK)


@given(st.data())
def test_a_damaged_data_set_is_read_as_far_as_it_goes(data: st.DataObject) -> None:
    whole = bytearray(Ct().data_set())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    header = read_header(bytes(whole[:cut]), data.draw(st.sampled_from(SYNTAXES)))
    header.technical()
    header.protected(STUDY_BLOCK)


@given(st.binary(max_size=64), st.binary(max_size=200))
def test_text_never_fails(character_set: bytes, raw: bytes) -> None:
    ct = Ct(more={0x00080005: (b"CS", character_set), 0x00100010: (b"PN", raw)})
    read_header(ct.data_set(), EXPLICIT).protected(STUDY_BLOCK)


NEST = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("transfer_syntax", "data"),
    [
        pytest.param(EXPLICIT, NEST * 100_000, id="nested"),
        pytest.param(EXPLICIT, explicit(0x00080005, b"CS", b"") * 1_000_000, id="elements"),
        pytest.param(EXPLICIT, b"\x08\x00\x18\x00UN\0\0\xfe\xff\xff\xff" + b"1" * 100, id="length"),
        pytest.param(DEFLATED, zlib.compress(bytes(512 << 20), wbits=-15), id="bomb"),
    ],
)
def test_a_hostile_data_set_costs_little(transfer_syntax: str, data: bytes) -> None:
    tracemalloc.start()
    started = time.thread_time()
    header = read_header(data, transfer_syntax)
    seconds, (_, peak) = time.thread_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert header.uid(SOP_INSTANCE) == ""
    assert seconds < 5.0
    assert peak < 3 * tags.INFLATED_BYTES_MAX
