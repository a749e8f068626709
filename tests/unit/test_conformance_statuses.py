"""docs/conformance.md says what the code does: statuses, limits, and what an instance may be written anew from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from consumers.commitment import judging
from consumers.commitment.config import Settings as Commitment
from consumers.commitment.telling import REST_S
from consumers.forward import answers
from consumers.forward.ris import IDLE_S, Action, Answer
from consumers.forward.ris_answers import judged
from gateway.dimse import finding as querying
from gateway.dimse import retrieving
from gateway.dimse.__main__ import SERVICES
from gateway.dimse.config import Settings as Retrieve
from gateway.dimse.models import answered
from infra.local.founding import SERVERS
from producers.dicom_router import arrival
from producers.dicom_router.commitment import action
from producers.dicom_router.commitment.references import DATA_SET_BYTES_MAX, REFERENCES_MAX
from producers.dicom_router.config import Settings as Router
from producers.dicom_router.stow.config import Settings as Stow
from producers.dicom_router.stow.connection import HEAD_BYTES_MAX
from producers.dicom_router.trust.config import Tls
from producers.dicom_router.upper_layer.pdu import PDU_BYTES_MAX
from producers.worklist import attribute_list, finding, performing
from producers.worklist.config import Settings as Worklist
from radstream.migrating.relay import TRANSFER_SYNTAXES
from radstream.migrating.run import ATTEMPTS
from radstream.sending import CALLING_AE, RETRIES
from streams.commitment_turns import ANSWER_S
from streams.config import Service
from streams.dimse import connections
from streams.dimse.contexts import syntaxes
from streams.nodes import Node
from streams.recoding.native import SOURCES, TARGETS
from streams.ris import Settings as Ris
from streams.routes.rules import Destination
from tests.retrieve_items import supported
from tests.statement import TEXT, codes, numbers, table


def constants(module: object, names: str) -> set[int]:
    return {getattr(module, name) for name in names.split()}


# Statuses.


@pytest.mark.parametrize(
    ("before", "known"),
    [
        (
            "C-STORE, as STORAGE-SCP answers it",
            constants(arrival, "SUCCESS SOP_CLASS_NOT_SUPPORTED OUT_OF_RESOURCES TOO_LARGE NOT_OF_SOP_INSTANCE")
            | {arrival.STORE_REFUSES, arrival.CANNOT_UNDERSTAND},
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
            "C-FIND of query and retrieve",
            constants(querying, "SUCCESS PENDING PENDING_UNSUPPORTED CANCELLED OUT_OF_RESOURCES UNABLE_TO_PROCESS")
            | {querying.NOT_OF_SOP_CLASS},
        ),
        (
            "C-MOVE and C-GET, as RETRIEVE-SCP answers them",
            constants(retrieving, "SUCCESS PENDING CANCELLED SOME_FAILED SOP_CLASS_NOT_SUPPORTED NOT_COUNTED")
            | constants(retrieving, "NOT_PERFORMED DESTINATION_UNKNOWN NOT_OF_SOP_CLASS UNABLE_TO_PROCESS"),
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
        assert {answers.judged(code) for code in numbers(cell)} == {judgement}
    assert others[:2] == ("all others", "refused")
    listed = [numbers(cell) for cell, *_ in said]
    single = {code for one in listed for code in one}
    elsewhere = [code for code in range(0x10000) if code not in single and code >> 12 != 0xB and code >> 8 != 0xA7]
    assert {answers.judged(code) for code in elsewhere} == {"refused"}


def test_what_is_made_of_a_status_of_the_ris() -> None:
    *said, others = table("N-CREATE and N-SET, what MPPS-SCU makes")
    for cell, judgement, _ in said:
        asked: Action = "set" if "of N-SET" in cell else "created"
        is_final = "Error ID" in cell
        code, *more = numbers(cell)[:1] if is_final else numbers(cell)
        assert {judged(asked, Answer(one, is_final)) for one in (code, *more)} == {judgement}
    assert others[:2] == ("all others", "refused")
    assert judged("created", Answer(0x0106)) == judged("set", Answer(0x0111)) == "refused"


# What query and retrieve accept.


def test_contexts_of_query_and_retrieve() -> None:
    *said, got = table("7.2.8")
    assert [row[1] for row in said] == list(SERVICES)
    assert got[3] == "SCU, by role selection"
    for name, uid, *_, extended in said:
        known = sum(answered(uid, bytes((1, 1, 1, 1, 1))))
        agreed = {"none": 0, "as of Patient Root": None}.get(extended, extended.count(",") + 1)
        assert agreed in (None, known), name


def test_attributes_of_query_and_retrieve() -> None:
    assert table("RETRIEVE-SCP returns, by level:") == supported()


def test_at_most_so_many_failed_instances_are_listed() -> None:
    assert f"{retrieving._LISTED_MAX:,} at most" in " ".join(TEXT.split())


# Limits.

_OF_ONE_ADDRESS = {
    Router: {"associations_per_peer_max": Router(http_port=0, port=0).of_one_address_max},
    Stow: {"requests_per_peer_max": Stow(port=0).of_one_address_max},
    Worklist: {"associations_per_peer_max": Worklist(http_port=0, port=0, dsn="").of_one_address_max},
    Retrieve: {
        "associations_per_peer_max": Retrieve(http_port=0, port=0, dsn="").of_one_address_max,
        "retrieves_per_peer_max": Retrieve(http_port=0, port=0, dsn="").retrieves_of_one_address_max,
    },
}


@pytest.mark.parametrize(
    ("before", "settings", "left_out"),
    [
        (
            "STORAGE-SCP, [router]",
            Router,
            {"host", "port", "ae_title", "peers", "tls", "lanes", "objects_folder", "spool", "stow", "watch"},
        ),
        ("STOW-SERVER, [router.stow]", Stow, {"host", "port", "addresses", "plain", "calling_ae"}),
        ("WORKLIST-SCP, [worklist]", Worklist, {"dsn", "host", "port", "peers", "tls", "ae_title"}),
        ("RETRIEVE-SCP, [retrieve]", Retrieve, {"dsn", "host", "port", "peers", "tls", "ae_title", "limits"}),
        ("COMMITMENT-SCP, [commitment]", Commitment, {"dsn", "runner", "asks_for"}),
        ("FORWARD-SCU, a destination", Destination, set(Node.__struct_fields__)),
        ("MPPS-SCU, [ris]", Ris, {"node"}),
    ],
)
def test_defaults_are_those_of_the_configuration(before: str, settings: Any, left_out: set[str]) -> None:
    heading = next(line for line in TEXT.splitlines() if line.replace("`", "") == f"#### {before}")
    said = {name: default for name, default, _ in table(heading.lstrip("# "))}
    of_service = {field.name for field in msgspec.structs.fields(Service)}
    known = {field.name: str(field.default) for field in msgspec.structs.fields(settings)}
    # These follow from the limit of all, where they are not set.
    known |= {name: str(of_one) for name, of_one in _OF_ONE_ADDRESS.get(settings, {}).items()}
    assert said == {name: default for name, default in known.items() if name not in {*left_out, *of_service}}


def test_titles_are_those_of_the_configuration() -> None:
    said = {name: title for name, title, *_ in table("6.1 AE titles")}
    assert said["STORAGE-SCP"] == Router(http_port=0, port=0).ae_title
    assert said["WORKLIST-SCP"] == Worklist(http_port=0, port=0, dsn="").ae_title
    assert said["RETRIEVE-SCP"] == Retrieve(http_port=0, port=0, dsn="").ae_title
    assert said["FORWARD-SCU"] == Destination(ae_title="A", host="a", port=1).calling_ae
    assert said["SEND-SCU"] == CALLING_AE
    assert Stow(port=0).calling_ae in said["STOW-SERVER"]
    tls_port = next(field for field in msgspec.structs.fields(Tls) if field.name == "port")
    ports = {name: port for name, _, _, port, _ in table("6.1 AE titles")}
    assert ports["STORAGE-SCP"] == f"{SERVERS['router']} on the local stack; TLS {tls_port.default}"
    assert ports["WORKLIST-SCP"] == f"{SERVERS['worklist']} on the local stack"
    assert ports["RETRIEVE-SCP"] == f"{SERVERS['retrieve']} on the local stack"
    assert ports["STOW-SERVER"] == f"{SERVERS['stow']} on the local stack"


def test_limits_of_a_commitment_request() -> None:
    too_much = next(row[2] for row in table("N-ACTION of Storage Commitment") if int(row[0], 16) == 0x0213)
    assert f"{REFERENCES_MAX:,} references" in too_much
    assert f"{DATA_SET_BYTES_MAX >> 20} MiB" in too_much


def test_limits_that_cannot_be_set() -> None:
    largest = next(row for row in table("7.1.2") if row[0] == "largest PDU")
    assert [cell.split(";")[0] for cell in largest[1:3]] == [str(PDU_BYTES_MAX), str(connections.PDU_BYTES_MAX)]
    said = " ".join(TEXT.split())
    assert f"left alone for {REST_S:g} s" in said
    assert f"does not answer within {ANSWER_S:g} s, on an association of COMMITMENT-SCP's own" in said
    assert f"released after {IDLE_S:g} s without" in said
    assert f"tries a study {ATTEMPTS} times; SEND-SCU tries an instance {RETRIES} times more" in said
    assert f"a head over {HEAD_BYTES_MAX >> 10} KiB" in said


# What goes out.


def test_transfer_syntaxes_that_an_instance_can_be_written_anew_from() -> None:
    assert {uid for _, uid in table("What can be written anew:")} == SOURCES
    assert syntaxes("1.2.840.10008.1.2.4.90") == ("1.2.840.10008.1.2.4.90", *TARGETS)
    assert syntaxes("1.2.840.10008.1.2.4.50") == ("1.2.840.10008.1.2.4.50",)


def test_transfer_syntaxes_of_c_get() -> None:
    assert tuple(uid for name, uid in table("| transfer syntax of C-GET")) == TRANSFER_SYNTAXES
