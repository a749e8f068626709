"""The accounts of the fault rounds find what they are there for: each kind of damage, done on purpose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import pytest

from producers.dicom_router.arrival import Arrival
from producers.dicom_router.header import Header
from producers.dicom_router.spool.keeping import Keeping
from streams.events import InstanceReceived
from streams.step import NewObject
from streams.stored_file import stored_file
from tests.rounds.accounting import HOT, Accounts, Row, account
from tests.routers import CT, EXPLICIT, Ct, Router, running_router

IMAGES = [Ct(instance=f"1.2.3.4.{number}", pixels=bytes(range(number + 1)) * 2) for number in range(6)]


def file_of(image: Ct) -> bytes:
    return stored_file(CT, image.instance, EXPLICIT, image.data_set())


def digest_of(image: Ct) -> str:
    return hashlib.sha256(file_of(image)).hexdigest()


@dataclass
class Sent:
    """A router to which all images were sent, and which acknowledged them."""

    router: Router
    events: Sequence[InstanceReceived]
    rows: Sequence[Row]

    def accounts(self, **other: Sequence[InstanceReceived] | Sequence[Row]) -> Accounts:
        read = replace(self, **other)
        digests = {digest_of(image) for image in IMAGES}
        return account(digests, digests, read.events, self.router.held, read.rows)


def sent_to(router: Router) -> Sent:
    assert router.send(*(image.item() for image in IMAGES)).statuses == {"0000": len(IMAGES)}
    events = router.received()
    return Sent(router, events, [Row(event.instance.digest, str(event.meta.event_id)) for event in events])


@pytest.fixture
def sent() -> Iterator[Sent]:
    with running_router() as router:
        yield sent_to(router)


def test_a_router_that_works_has_nothing_found(sent: Sent) -> None:
    accounts = sent.accounts()
    assert accounts.findings == []
    assert (accounts.acknowledged, accounts.events, accounts.objects, accounts.rows) == (6, 6, 6, 6)


def test_the_same_event_in_two_records_is_harmless(sent: Sent) -> None:
    accounts = sent.accounts(events=[*sent.events, sent.events[0]])
    assert accounts.findings == []
    assert (accounts.events, accounts.records) == (6, 7)


def test_a_router_that_acknowledges_before_anything_is_durable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    well = Keeping.keep

    def hasty(self: Keeping, arrival: Arrival, header: Header) -> None:
        if arrival.sop_instance_uid != IMAGES[2].instance:
            well(self, arrival, header)

    monkeypatch.setattr(Keeping, "keep", hasty)
    with running_router() as router:
        assert sent_to(router).accounts().findings == [
            f"{digest_of(IMAGES[2])}: acknowledged, and the log has no event"
        ]


def test_a_record_that_is_gone_is_found(sent: Sent) -> None:
    digest = sent.events[0].instance.digest
    assert sent.accounts(events=sent.events[1:]).lost == [f"{digest}: acknowledged, and the log has no event"]


def test_an_object_that_is_gone_is_found(sent: Sent) -> None:
    event = sent.events[0]
    assert sent.router.held.delete(event.object)
    digest = event.instance.digest
    assert sent.accounts().findings == [f"{digest}: acknowledged, and the store has no such object"]


def test_a_block_that_is_gone_is_found(sent: Sent) -> None:
    block = sent.events[0].protected[0].object
    assert sent.router.held.delete(block)
    assert sent.accounts().lost == [f"{block.key}: a block that an event refers to is not there"]


def test_a_row_that_is_missing_or_there_twice_is_found(sent: Sent) -> None:
    digest = sent.rows[0].digest
    assert sent.accounts(rows=sent.rows[1:]).lost == [f"{digest}: acknowledged, and the catalog has no row"]
    assert sent.accounts(rows=[*sent.rows, sent.rows[0]]).second_rows == [f"{digest}: 2 rows"]


def test_a_second_event_of_one_instance_is_found(sent: Sent) -> None:
    first = sent.events[0]
    other = msgspec.structs.replace(first.meta, event_id=sent.events[1].meta.event_id)
    second = msgspec.structs.replace(first, meta=other)
    assert sent.accounts(events=[*sent.events, second]).second_rows == [f"{first.instance.digest}: 2 events"]


def test_an_object_with_other_bytes_is_found(sent: Sent) -> None:
    ref = sent.events[0].object
    assert sent.router.held.delete(ref)
    sent.router.held.create(NewObject("t", HOT, ref.key, file_of(IMAGES[0])[:-1] + b"?"))
    accounts = sent.accounts()
    assert f"{ref.key}: other bytes than its SHA-256" in accounts.torn
    assert accounts.lost == [f"{sent.events[0].instance.digest}: acknowledged, and the store has no such object"]


def test_half_an_image_that_was_taken_for_one_is_found(sent: Sent) -> None:
    half = replace(IMAGES[5], pixels=IMAGES[5].pixels[:6])
    assert sent.router.send(half.item()).acknowledged == 1
    assert sent.accounts(events=sent.router.received()).torn == [f"{digest_of(half)}: nobody sent this"]
