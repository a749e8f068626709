"""docs/conformance.md says what the code does: identity, contexts, statuses, limits, attributes and codes."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from pydicom.uid import UID
from pynetdicom import sop_class
from pynetdicom.pdu import A_ASSOCIATE_AC

from consumers.commitment import judging
from consumers.commitment.config import Settings as Commitment
from consumers.forward.answers import judged
from consumers.forward.contexts import syntaxes
from producers.dicom_router import arrival
from producers.dicom_router.commitment import action
from producers.dicom_router.commitment.references import DATA_SET_BYTES_MAX, REFERENCES_MAX
from producers.dicom_router.config import Settings as Router
from producers.dicom_router.stow.config import Settings as Stow
from producers.dicom_router.upper_layer import pdu
from producers.dicom_router.upper_layer.associate_rq import decode
from producers.dicom_router.upper_layer.negotiation import Accepted, negotiate
from producers.worklist import attribute_list, finding, performing
from producers.worklist.config import Settings as Worklist
from radstream.migrating.relay import TRANSFER_SYNTAXES
from radstream.sending import CALLING_AE
from streams import sop_classes
from streams.config import Service
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.recoding.native import SOURCES, TARGETS
from streams.routes.rules import Destination
from streams.store_scu import Entity
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.pynetdicom_pdus import body, proposed, request
from tests.statement import TEXT, codes, column, numbers, table

CT, UNKNOWN = "1.2.840.10008.5.1.4.1.1.2", "2.25.4711"
PLAIN = [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]
STORAGE = "Known as storage"


def constants(module: object, names: str) -> set[int]:
    return {getattr(module, name) for name in names.split()}


def name_of(uid: str) -> str:
    """As PS3.6 has it; of what is newer than pydicom's list, out of pynetdicom's name of a variable."""
    if (name := UID(uid).name) != uid:
        return name
    keyword = next(key for key, value in vars(sop_class).items() if isinstance(value, UID) and value == uid)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword)


def test_both_identifiers_are_those_of_every_association() -> None:
    said = dict(table("7.1.1"))
    assert said["Implementation Class UID"] == IMPLEMENTATION_CLASS_UID
    assert said["Implementation Version Name"] == IMPLEMENTATION_VERSION_NAME
    entity = Entity(ae_title="ANY")
    assert entity.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert entity.implementation_version_name == IMPLEMENTATION_VERSION_NAME


# What the router accepts.


def accepted(abstract_syntax: str, transfer_syntaxes: list[str]) -> str | None:
    """The transfer syntax that is chosen, or None."""
    ours = negotiate(decode(body(request([proposed(1, abstract_syntax, transfer_syntaxes)]))), 16_384)
    assert isinstance(ours, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(ours.answer)
    (context,) = answer.presentation_context
    return str(context.transfer_syntax) if context.result == 0 else None


def test_every_storage_class_is_listed_and_accepted_in_what_is_proposed_first() -> None:
    listed = table(STORAGE)
    assert listed == sorted((name_of(uid), uid) for uid in sop_classes.STORED), "write the table of annex A.F anew from sop_classes.STORED"
    for _, uid in [*listed, ("private", UNKNOWN), ("a media directory", sop_classes.MEDIA_DIRECTORY)]:
        assert accepted(uid, ["1.2.840.10008.1.2.4.50", EXPLICIT_VR_LITTLE_ENDIAN]) == "1.2.840.10008.1.2.4.50"


def test_services_beside_storage_are_accepted_in_plain_transfer_syntaxes() -> None:
    first = table("Presentation contexts that are accepted")
    uids = [row[1] for row in first if row[1]]
    assert uids == [sop_classes.VERIFICATION, sop_classes.STORAGE_COMMITMENT, sop_classes.MEDIA_DIRECTORY]
    assert first[0][2].startswith("the first proposed one of " + ", ".join(plainly(uid) for uid in PLAIN))
    for service in uids[:2]:
        assert [accepted(service, [uid]) for uid in PLAIN] == PLAIN
        assert accepted(service, ["1.2.840.10008.1.2.4.50"]) is None
    assert not [uid for uid in sop_classes.OTHER_SERVICES if accepted(uid, PLAIN)]


def plainly(uid: str) -> str:
    return UID(uid).name.split(":")[0].replace(" (Retired)", "")


def test_rejections_and_aborts_are_those_that_there_are() -> None:
    rejections = {one for one in vars(pdu).values() if isinstance(one, pdu.Rejection)}
    said = [tuple(map(int, cell.split(" / "))) for cell in column("Rejections:")]
    assert set(said) == rejections
    aborts = {one for one in vars(pdu).values() if isinstance(one, pdu.Abort)}
    assert {tuple(map(int, cell.split(" / "))) for cell in column("Aborts:")} == aborts


# Statuses.


@pytest.mark.parametrize(
    ("before", "known"),
    [
        (
            "C-STORE, as STORAGE-SCP answers it",
            constants(arrival, "SUCCESS SOP_CLASS_NOT_SUPPORTED OUT_OF_RESOURCES TOO_LARGE NOT_OF_SOP_INSTANCE")
            | {arrival.CANNOT_UNDERSTAND},
        ),
        (
            "N-ACTION of Storage Commitment",
            {arrival.SUCCESS}
            | constants(action, "PROCESSING_FAILURE NO_SUCH_INSTANCE INVALID_ARGUMENT NO_SUCH_CLASS NO_SUCH_ACTION")
            | {action.RESOURCE_LIMITATION},
        ),
        (
            "Failure Reason of an instance in N-EVENT-REPORT",
            constants(judging, "PROCESSING_FAILURE NO_SUCH_INSTANCE CLASS_INSTANCE_CONFLICT CLASS_NOT_SUPPORTED")
            | {judging.DUPLICATE_TRANSACTION},
        ),
        (
            "C-FIND of the worklist",
            constants(finding, "SUCCESS PENDING PENDING_UNSUPPORTED CANCELLED OUT_OF_RESOURCES UNABLE_TO_PROCESS"),
        ),
        (
            "N-CREATE and N-SET, as WORKLIST-SCP answers them",
            constants(performing, "SUCCESS ATTRIBUTE_LIST_ERROR PROCESSING_FAILURE DUPLICATE NO_SUCH_INSTANCE")
            | {performing.INVALID_INSTANCE}
            | constants(attribute_list, "INVALID_VALUE MISSING_ATTRIBUTE MISSING_VALUE"),
        ),
    ],
)
def test_statuses_are_those_that_are_answered(before: str, known: set[int]) -> None:
    assert codes(before) == sorted(known)


def test_what_forwarding_makes_of_a_status() -> None:
    *said, others = table("C-STORE, what FORWARD-SCU makes")
    for cell, judgement, _ in said:
        assert {judged(code) for code in numbers(cell)} == {judgement}
    assert others[:2] == ("all others", "refused")
    listed = [numbers(cell) for cell, *_ in said]
    single = {code for one in listed for code in one}
    elsewhere = [code for code in range(0x10000) if code not in single and code >> 12 != 0xB and code >> 8 != 0xA7]
    assert {judged(code) for code in elsewhere} == {"refused"}


# Limits.


@pytest.mark.parametrize(
    ("before", "settings", "left_out"),
    [
        (
            "STORAGE-SCP, [router]",
            Router,
            {"host", "port", "ae_title", "peers", "tls", "lanes", "objects_folder", "spool", "stow", "watch"},
        ),
        ("STOW-SERVER, [router.stow]", Stow, {"host", "port", "addresses", "calling_ae"}),
        ("WORKLIST-SCP, [worklist]", Worklist, {"dsn", "host", "port", "peers", "tls", "ae_title"}),
        ("COMMITMENT-SCP, [commitment]", Commitment, {"dsn", "runner"}),
        ("FORWARD-SCU, a destination", Destination, {"ae_title", "host", "port"}),
    ],
)
def test_defaults_are_those_of_the_configuration(before: str, settings: Any, left_out: set[str]) -> None:
    heading = next(line for line in TEXT.splitlines() if line.replace("`", "") == f"#### {before}")
    said = {name: default for name, default, _ in table(heading.lstrip("# "))}
    of_service = {field.name for field in msgspec.structs.fields(Service)}
    known = {field.name: str(field.default) for field in msgspec.structs.fields(settings)}
    assert said == {name: default for name, default in known.items() if name not in {*left_out, *of_service}}


def test_titles_are_those_of_the_configuration() -> None:
    said = {name: title for name, title, *_ in table("6.1 AE titles")}
    assert said["STORAGE-SCP"] == Router(http_port=0, port=0).ae_title
    assert said["WORKLIST-SCP"] == Worklist(http_port=0, port=0, dsn="").ae_title
    assert said["FORWARD-SCU"] == Destination(ae_title="A", host="a", port=1).calling_ae
    assert said["SEND-SCU"] == CALLING_AE
    assert Stow(port=0).calling_ae in said["STOW-SERVER"]


def test_limits_of_a_commitment_request() -> None:
    too_much = next(row[2] for row in table("N-ACTION of Storage Commitment") if int(row[0], 16) == 0x0213)
    assert f"{REFERENCES_MAX:,} references" in too_much
    assert f"{DATA_SET_BYTES_MAX >> 20} MiB" in too_much


# What goes out.


def test_transfer_syntaxes_that_an_instance_can_be_written_anew_from() -> None:
    assert {uid for _, uid in table("What can be written anew:")} == SOURCES
    assert syntaxes("1.2.840.10008.1.2.4.90") == ("1.2.840.10008.1.2.4.90", *TARGETS)
    assert syntaxes("1.2.840.10008.1.2.4.50") == ("1.2.840.10008.1.2.4.50",)


def test_transfer_syntaxes_of_c_get() -> None:
    assert tuple(uid for name, uid in table("| transfer syntax of C-GET")) == TRANSFER_SYNTAXES
