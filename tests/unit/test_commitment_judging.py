"""Which instances are committed, and the reason of each that is not (PS3.3 section C.14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consumers.commitment.judging import Content, Judged, Known, judge
from streams.events import CommitmentRequest, Meta, Provenance, SopReferences, Source

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION, PRINT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.1.9"
START = datetime(2026, 11, 2, 8, tzinfo=UTC)
OF_OTHERS = Content(CT, 0, delivered=False)
CORRECTED = Content(CT, 2, rejected=True, superseded=True)


def request(*references: tuple[str, str], event_id: str = "first") -> CommitmentRequest:
    return CommitmentRequest(
        meta=Meta(event_id=event_id, tenant="t", site="s", lane="routine", subject="x", occurred_at=START),
        provenance=Provenance(step="dicom_router.commitment", build="0", generation=0, config_digest=""),
        transaction_uid="2.25.7",
        source=Source(protocol="DIMSE", calling_ae="CT1", called_ae="RADSTREAM", association="a"),
        references=tuple(SopReferences(sop_class_uid=c, sop_instance_uids=(uid,)) for c, uid in references),
    )


def reasons(judged: Judged) -> dict[str, int]:
    """By instance; 0 where it is committed."""
    return {uid: 0 for group in judged.committed for uid in group.sop_instance_uids} | {
        uid: group.reason for group in judged.failed for uid in group.sop_instance_uids
    }


@pytest.mark.parametrize(
    ("sop_class", "contents", "reason", "may_still_come"),
    [
        pytest.param(CT, [Content(CT, 2)], 0, False, id="two verified copies"),
        pytest.param(CT, [Content(CT, 3)], 0, False, id="more than promised"),
        pytest.param(CT, [Content(CT, 1)], 0x0110, True, id="one copy"),
        pytest.param(CT, [Content(CT, 0)], 0x0110, True, id="received, and read back by nobody"),
        pytest.param(CT, [], 0x0112, True, id="never came, or is on the spool alone"),
        pytest.param(MR, [Content(CT, 2)], 0x0119, False, id="of another class"),
        pytest.param(CT, [Content(CT, 2), Content(CT, 0)], 0x0110, True, id="other content of the same sender"),
        pytest.param(CT, [Content(CT, 2), Content(CT, 2)], 0, False, id="both of the same sender are safe"),
        pytest.param(CT, [OF_OTHERS], 0x0112, True, id="others alone delivered"),
        pytest.param(CT, [Content(CT, 2), OF_OTHERS], 0, False, id="others came behind, and are not safe"),
        pytest.param(CT, [OF_OTHERS, Content(CT, 2)], 0x0110, True, id="others' is served"),
        pytest.param(CT, [replace(OF_OTHERS, held=True), Content(CT, 2)], 0x0110, True, id="others' may be served"),
        pytest.param(CT, [replace(OF_OTHERS, rejected=True), Content(CT, 2)], 0, False, id="others' was rejected"),
        pytest.param(
            CT, [OF_OTHERS, Content(CT, 2, rejected=True)], 0x0110, True, id="rejected, and others' is served"
        ),
        pytest.param(CT, [replace(OF_OTHERS, sop_class_uid=MR)], 0x0112, True, id="others' is of another class"),
        pytest.param(CT, [Content(CT, 2, held=True)], 0x0110, True, id="held, for all its copies"),
        pytest.param(CT, [Content(CT, 2), Content(CT, 2, held=True)], 0x0110, True, id="other content, held"),
        pytest.param(CT, [Content(CT, 2, rejected=True)], 0x0110, True, id="rejected: the corrected one may come"),
        pytest.param(CT, [Content(CT, 0, rejected=True)], 0x0110, True, id="rejected before it had a copy"),
        pytest.param(
            CT, [Content(CT, 2), Content(CT, 2, rejected=True)], 0x0110, True, id="rejected is what came last"
        ),
        pytest.param(CT, [CORRECTED, Content(CT, 2)], 0, False, id="rejected, and sent corrected"),
        pytest.param(CT, [replace(CORRECTED, copies=0), Content(CT, 2)], 0, False, id="rejected, never backed up"),
        pytest.param(
            CT, [replace(CORRECTED, copies=1), Content(CT, 2)], 0x0110, True, id="rejected while it is backed up"
        ),
        pytest.param(CT, [CORRECTED, Content(CT, 1)], 0x0110, True, id="corrected, with one copy"),
        pytest.param(CT, [CORRECTED, Content(CT, 2, held=True)], 0x0110, True, id="what came then is held"),
        pytest.param(
            CT, [replace(CORRECTED, sop_class_uid=MR), Content(CT, 2)], 0, False, id="rejected, of another class"
        ),
        pytest.param(MR, [Content(CT, 2, rejected=True)], 0x0110, True, id="rejected, and asked for as another class"),
        pytest.param(VERIFICATION, [], 0x0122, False, id="a service"),
        pytest.param(PRINT, [], 0x0122, False, id="another service"),
        pytest.param("1.2.999.1", [Content("1.2.999.1", 2)], 0, False, id="a private storage class"),
    ],
)
def test_an_instance_is_committed_only_when_it_is_safe(
    sop_class: str, contents: list[Content], reason: int, may_still_come: bool
) -> None:
    judged = judge(request((sop_class, "1.2.3")), Known("first", {"1.2.3": contents}), copies=2)
    assert reasons(judged) == {"1.2.3": reason}
    assert judged.open == int(may_still_come)


def test_each_instance_has_a_verdict_of_its_own() -> None:
    known = Known("first", {"1.1": [Content(CT, 2)], "1.2": [Content(MR, 2)], "1.3": [Content(CT, 1)]})
    judged = judge(request((CT, "1.1"), (MR, "1.2"), (CT, "1.3"), (CT, "1.4")), known, copies=2)
    assert reasons(judged) == {"1.1": 0, "1.2": 0, "1.3": 0x0110, "1.4": 0x0112}
    assert judged.open == 2


def test_a_transaction_uid_that_others_have_commits_nothing() -> None:
    known = Known("first", {"1.1": [Content(CT, 2)]})
    judged = judge(request((CT, "1.1"), event_id="second"), known, copies=2)
    assert reasons(judged) == {"1.1": 0x0131}
    assert not judged.open


def test_a_site_that_promises_one_copy_commits_with_one() -> None:
    assert not judge(request((CT, "1.1")), Known("first", {"1.1": [Content(CT, 1)]}), copies=1).failed
