"""docs/conformance.md says what the code does: who we are, what is accepted, and what is answered to negotiations."""

from __future__ import annotations

import re

from pydicom.uid import UID
from pynetdicom import sop_class
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation, SOPClassExtendedNegotiation

from producers.dicom_router.config import Settings as Router
from producers.dicom_router.upper_layer import pdu
from producers.dicom_router.upper_layer.associate_rq import decode
from producers.dicom_router.upper_layer.negotiation import Accepted, negotiate
from streams import sop_classes
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.scu import Entity
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.pynetdicom_pdus import body, proposed, request
from tests.statement import PAGE, TEXT, column, plainly, table

CT, UNKNOWN = "1.2.840.10008.5.1.4.1.1.2", "2.25.4711"
PLAIN = [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]
STORAGE = "Known as storage"


def name_of(uid: str) -> str:
    """As PS3.6 has it; of what is newer than pydicom's list, out of pynetdicom's name of a variable."""
    if (name := UID(uid).name) != uid:
        return name
    keyword = next(key for key, value in vars(sop_class).items() if isinstance(value, UID) and value == uid)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword)


def test_both_identifiers_are_those_of_every_association() -> None:
    said: dict[str, str] = dict(table("7.1.1"))
    assert said["Implementation Class UID"] == IMPLEMENTATION_CLASS_UID
    assert said["Implementation Version Name"] == IMPLEMENTATION_VERSION_NAME
    entity = Entity(ae_title="ANY")
    assert entity.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert entity.implementation_version_name == IMPLEMENTATION_VERSION_NAME


def test_links_lead_somewhere() -> None:
    headings = [line.lstrip("# ").lower() for line in TEXT.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading).replace(" ", "-") for heading in headings}
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert link[1:] in anchors if link.startswith("#") else (PAGE.parent / link).exists(), link


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
    known = sorted((name_of(uid), uid) for uid in sop_classes.STORED)
    assert listed == known, "write the table of annex A.F anew"
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


def test_what_is_answered_to_negotiations() -> None:
    said: dict[str, str] = dict(table("| negotiation | answer"))
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 0
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = UID(CT), b"\0" * 6
    asked = request([proposed(1, CT, PLAIN)], window, extended)
    ours = negotiate(decode(body(asked)), 16_384, Router(http_port=0, port=0).operations_per_association_max)
    assert isinstance(ours, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(ours.answer)
    assert answer.user_information is not None
    items = {item.item_type: item for item in answer.user_information.user_data}
    operations = items[0x53]
    (of_router,) = [one[1] for one in table("7.1.2") if one[0] == "asynchronous operations window"]
    assert of_router.startswith(f"{operations.maximum_number_operations_invoked}, where it is proposed")
    assert f"by it, {operations.maximum_number_operations_performed}." in said["Asynchronous Operations Window"]
    assert items[0x56].service_class_application_information.hex(" ") in said["SOP Class Extended Negotiation"]


def test_rejections_and_aborts_are_those_that_there_are() -> None:
    rejections = {one for one in vars(pdu).values() if isinstance(one, pdu.Rejection)}
    said = [tuple(map(int, cell.split(" / "))) for cell in column("Rejections:")]
    assert set(said) == rejections
    aborts = {one for one in vars(pdu).values() if isinstance(one, pdu.Abort)}
    assert {tuple(map(int, cell.split(" / "))) for cell in column("Aborts:")} == aborts
