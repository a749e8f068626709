"""What a person's decision leads to: a held instance flows and says so, once; one that has no name never does."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from msgspec import structs

from consumers.validate.config import Limits
from consumers.validate.reasons import REASONS
from consumers.validate.step import Validate
from streams.clock import SystemClock
from streams.events import (
    Instance,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    ProtectedNote,
    QuarantineCommand,
    Technical,
)
from streams.identity import event_id
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.step import DeadLetter, Done, Input, Outcome, RetryLater
from streams.wire import Record
from tests import images
from tests.import_events import DISC
from tests.instance_events import provenance_of, ref_of
from tests.received import identity, received

UIDS = (images.STUDY, images.SERIES, images.INSTANCE)
WHOLE = images.native(np.zeros((1, 8, 6), np.uint16), PatientID="")
CUT = WHOLE[:-140]


def command(
    event: InstanceReceived,
    action: Literal["released", "rejected", "other"] = "released",
    code: str = "truncated",
    instance: Instance | None = None,
) -> Input[QuarantineCommand]:
    said = QuarantineCommand(
        meta=structs.replace(event.meta, event_id=f"command-{action}", lane="stat"),
        provenance=provenance_of("quarantine", 0),
        instance=instance or event.instance,
        object=event.object,
        technical=Technical(modality="CT"),
        action=action,
        code=code,
        actor="night.shift",
        why=ProtectedNote(block_id="b", object=ref_of("t/protected/b", 1, "0" * 64)),
        source=event.source,
        outside=DISC,
    )
    return Input(said, Record("imaging.quarantine.command", "topic-id", 0, 7, 0, None, None))


def judged(store: MemoryStore, item: Input[QuarantineCommand], limits: Limits | None = None) -> Outcome:
    (made,) = Validate(identity("validate", 4), store, limits or Limits())([item], SystemClock())
    return made


def flows(outcome: Outcome) -> InstanceValidated:
    assert isinstance(outcome, Done), outcome
    (event,) = outcome.events(())
    assert isinstance(event, InstanceValidated)
    return event


def test_what_was_released_flows_with_a_finding_that_says_so_and_all_that_is_known_of_it() -> None:
    store = MemoryStore()
    event = received(store, CUT, UIDS).event
    item = command(event)

    found = flows(judged(store, item))

    assert [(one.rule, one.severity) for one in found.findings] == [("released_by_hand", "error")]
    assert (found.instance, found.object, found.source) == (event.instance, event.object, event.source)
    assert (found.technical, found.meta.lane) == (Technical(modality="CT"), "stat")
    assert found.provenance.inputs == (item.ref,)
    assert found.provenance.generation == 0


def test_what_else_is_wrong_with_it_is_said_too_where_it_can_be_read() -> None:
    store = MemoryStore()
    found = flows(judged(store, command(received(store, WHOLE).event, code="contradicts_patient")))
    assert [one.rule for one in found.findings] == ["released_by_hand", "patient_id_empty"]


def test_it_is_let_go_once_however_often_and_by_whatever_generation() -> None:
    store = MemoryStore()
    item = command(received(store, CUT, UIDS).event)
    again = Input(structs.replace(item.event, meta=structs.replace(item.event.meta, event_id="later")), item.record)
    (other,) = Validate(identity("validate", 9), store, Limits())([again], SystemClock())
    name = event_id("t", "quarantine", item.event.instance.digest, 0, 0)
    assert {flows(one).meta.event_id for one in (judged(store, item), other)} == {name}


def test_what_is_too_large_to_be_read_flows_unread() -> None:
    store = MemoryStore()
    found = flows(judged(store, command(received(store, WHOLE).event, code="too_large"), Limits(object_bytes_max=10)))
    assert [one.rule for one in found.findings] == ["released_by_hand"]


def test_nothing_comes_of_a_decision_that_this_version_does_not_know() -> None:
    store = MemoryStore()
    made = judged(store, command(received(store, CUT, UIDS).event, "other"))
    assert isinstance(made, Done)
    assert made.events(()) == ()


def test_who_follows_the_study_is_told_of_a_rejection_once_however_often_it_is_said() -> None:
    store = MemoryStore()
    event = received(store, WHOLE, UIDS).event
    first, again = (judged(store, command(event, "rejected", "contradicts_patient")) for _ in range(2))
    for made in (first, again):
        assert isinstance(made, Done)
        (said,) = made.events(())
        assert isinstance(said, InstanceQuarantined)
        assert (said.instance, said.object, said.code) == (event.instance, event.object, "rejected")
        assert said.meta.event_id == event_id(event.meta.tenant, "quarantine", event.instance.digest, 1, 0)


@pytest.mark.parametrize("code", sorted(code for code, reason in REASONS.items() if reason.keeps))
def test_what_cannot_be_released_is_a_dead_letter_and_does_not_flow(code: str) -> None:
    store = MemoryStore()
    assert isinstance(judged(store, command(received(store, CUT, UIDS).event, code=code)), DeadLetter)


def test_what_has_no_name_cannot_be_released_for_whatever_reason_it_is_held() -> None:
    store = MemoryStore()
    event = received(store, CUT, UIDS).event
    nameless = structs.replace(event.instance, series_uid="")
    assert isinstance(judged(store, command(event, code="unreadable", instance=nameless)), DeadLetter)


def test_what_can_be_read_by_now_and_has_other_uids_does_not_flow() -> None:
    store = MemoryStore()
    event = received(store, WHOLE, ("1.2.3", images.SERIES, images.INSTANCE)).event
    made = judged(store, command(event, code="too_complex"))
    assert isinstance(made, DeadLetter), made
    assert "under the UIDs of another instance" in made.reason


def test_bytes_that_changed_since_do_not_flow() -> None:
    store = MemoryStore()
    event = received(store, WHOLE).event
    other = structs.replace(event.object, sha256="0" * 64)
    made = judged(store, command(structs.replace(event, object=other)))
    assert isinstance(made, DeadLetter)
    assert "acknowledged" not in made.reason
    assert "under the name" in made.reason


def test_a_store_that_is_away_is_waited_for() -> None:
    class Away(MemoryStore):
        def read(self, ref: object) -> bytes:
            raise StoreAway("away")

    store = MemoryStore()
    made = judged(Away(), command(received(store, WHOLE).event))
    assert isinstance(made, RetryLater)
    assert made.scope == "world"
