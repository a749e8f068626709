"""A study from outside goes on when a person has said whose it is, under that identity, and not before."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from msgspec import structs

from consumers.forward.outside import Outside
from consumers.forward.peer import Peer
from consumers.forward.step import Forward
from streams import reading_large
from streams.clock import SystemClock
from streams.dimse.stored import Limits
from streams.events import SUBJECTS, ForwardResult, ImportDecision, InstanceValidated, StudyOutside
from streams.generation import of_facts
from streams.held import HeldImages
from streams.import_decisions import ImportDecisions
from streams.log import LogRefused
from streams.outside_studies import OutsideStudies
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.routes.routes import load
from streams.step import DeadLetter, Done, Input, Outcome, RetryLater
from streams.wire import SchemaIds, encode
from tests import images
from tests.event_streams import TENANT, Hospital
from tests.held_images import log_of_holds
from tests.import_events import DISC, OURS, decided
from tests.nodes import Node, no_tls, node
from tests.received import events_of, validated
from tests.routers import AdjustableClock
from tests.unit.test_forward_step import ALL, HEAD, image


class Site:
    """The step of one destination, a log with decisions, and one image that a disc brought."""

    def __init__(self, folder: Path, there: Node) -> None:
        (folder / "routes.toml").write_text(HEAD + ALL)
        self.there, self.hospital, self.log, self.clock = there, Hospital(), log_of_holds(), AdjustableClock()
        for kind in (ImportDecision, StudyOutside):
            self.log.create_topic(SUBJECTS[kind], 1)
        studies, decisions = OutsideStudies(self.log, self.clock), ImportDecisions(self.log, TENANT, self.clock)
        outside = Outside(studies, decisions, self.hospital.blocks, folder / "large")
        rules = load(folder / "routes.toml").about("node")
        self.peer = Peer(there.destination(), no_tls())
        facts, store = of_facts("forward.node"), self.hospital.store
        held = HeldImages(self.log, self.clock)
        self.step = Forward("node", rules, self.peer, facts, store, Limits(), held, outside)
        found = validated(self.hospital.store, image(PatientName="DOE^J", PatientID="X1", AccessionNumber="A-100"))
        named = structs.replace(found.event.instance, sop_class_uid=images.CT)
        self.came = Input(structs.replace(found.event, instance=named, outside=DISC), found.record)

    @property
    def made_here(self) -> Input[InstanceValidated]:
        return Input(structs.replace(self.came.event, outside=None), self.came.record)

    def decide(self, event: ImportDecision) -> None:
        self.log.producer().send(encode(event, SchemaIds(), source="test")).result(5)

    def reconcile(self, **identity: str) -> None:
        self.decide(decided(self.hospital, self.came.event.instance.study_uid, **identity))

    def run(self, item: Input[InstanceValidated]) -> Outcome:
        (outcome,) = self.step([item], SystemClock())
        return outcome

    def result(self, outcome: Outcome) -> ForwardResult:
        done = outcome.beside if isinstance(outcome, DeadLetter) else outcome
        assert isinstance(done, Done), outcome
        (event,) = events_of(done, self.hospital.store)
        assert isinstance(event, ForwardResult)
        return event

    def arrived(self) -> pydicom.Dataset:
        return pydicom.dcmread(io.BytesIO(images.raw_file(self.there.data_sets[-1], EXPLICIT_VR_LITTLE_ENDIAN)))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        made = Site(tmp_path, there)
        yield made
        made.peer.close()


def test_it_does_not_go_before_it_is_reconciled(site: Site) -> None:
    said = site.result(site.run(site.came))
    assert (said.outcome, said.code) == ("failed", "not_reconciled")
    assert "radstream imports reconcile" in said.detail
    assert site.there.data_sets == []


def test_it_goes_under_its_identity_here_and_says_what_it_was(site: Site) -> None:
    waited = site.result(site.run(site.came))
    site.reconcile()
    said = site.result(site.run(site.came))
    assert (said.outcome, said.code) == ("done", "coerced")
    assert said.meta.event_id != waited.meta.event_id
    got = site.arrived()
    assert (got.PatientID, str(got.PatientName), got.AccessionNumber) == (OURS["PatientID"], "Doe^Jane", "A-900")
    item = got.OriginalAttributesSequence[0]
    assert item.SourceOfPreviousValues == DISC.issuer
    assert item.ModifiedAttributesSequence[0].AccessionNumber == "A-100"
    assert "Doe" not in str(said)


def test_a_later_decision_sends_it_again_and_is_said_beside_the_first(site: Site) -> None:
    site.reconcile()
    first = site.result(site.run(site.came))
    assert site.result(site.run(site.came)).meta.event_id == first.meta.event_id
    site.reconcile(PatientID="P2")
    assert site.result(site.run(site.came)).meta.event_id != first.meta.event_id
    assert site.arrived().PatientID == "P2"
    site.decide(decided(site.hospital, site.came.event.instance.study_uid, "unreconciled"))
    assert site.result(site.run(site.came)).code == "not_reconciled"


def test_a_second_record_of_a_decision_is_no_second_decision(site: Site) -> None:
    first = decided(site.hospital, site.came.event.instance.study_uid, PatientID="P2")
    site.decide(first)
    site.reconcile()
    site.decide(first)
    site.run(site.came)
    assert site.arrived().PatientID == OURS["PatientID"]


def test_a_node_that_keeps_what_it_was_sent_under_another_identity_has_not_taken_it(tmp_path: Path) -> None:
    """It has the image as another patient's. Sent again under the same identity, what it has is what it was to have."""
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda count: 0x0111 if count else 0x0000) as there:
        site = Site(tmp_path, there)
        site.reconcile(PatientID="P2")
        site.run(site.came)
        assert site.result(site.run(site.came)).outcome == "warned"
        site.reconcile()
        outcome = site.run(site.came)
        site.peer.close()
    assert isinstance(outcome, Done)  # a study of dead letters would stop the destination
    said = site.result(outcome)
    assert (said.outcome, said.code, said.status) == ("failed", "kept_before", 0x0111)
    assert "radstream imports reconcile" in said.detail


def test_what_a_node_took_under_this_identity_it_may_have_already(tmp_path: Path) -> None:
    """Who decides anew while much of a study waits has each image read twice under the last decision."""
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda count: 0x0111 if count else 0x0000) as there:
        site = Site(tmp_path, there)
        site.reconcile(PatientID="P2")
        site.reconcile()
        first, second = (site.result(site.run(site.came)) for _ in range(2))
        site.peer.close()
    assert (first.outcome, second.outcome) == ("done", "warned")
    assert first.meta.event_id == second.meta.event_id


def test_what_was_made_here_goes_as_it_is_unless_a_person_says_otherwise(site: Site) -> None:
    assert site.result(site.run(site.made_here)).code == ""
    assert site.arrived().AccessionNumber == "A-100"
    site.reconcile()
    site.clock.ahead_s = 2.0
    assert site.result(site.run(site.made_here)).code == "coerced"


def test_a_log_that_refuses_to_say_whose_it_is_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise LogRefused("TOPIC_AUTHORIZATION_FAILED")

    monkeypatch.setattr(site.log, "bounds", refuse)
    for item in (site.came, site.made_here):
        assert isinstance(site.run(item), RetryLater)
    assert site.there.data_sets == []


def test_no_disk_to_write_it_anew_on_is_waited_for_alone_and_said_in_the_end(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.reconcile()
    monkeypatch.setattr(reading_large, "LARGE_BYTES", site.came.event.object.length)
    (tmp_path / "large").write_bytes(b"")
    outcome = site.run(site.came)
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "subject"
    said = site.result(outcome.given_up)
    assert (said.outcome, said.code) == ("failed", "no_room")
    assert str(tmp_path) in said.detail


def test_an_erased_identity_is_a_dead_letter_and_a_log_that_is_away_is_waited_for(site: Site) -> None:
    decision = decided(site.hospital, site.came.event.instance.study_uid)
    site.decide(decision)
    site.log.away = True
    assert site.run(site.came) == RetryLater("the log does not answer", "world")
    site.log.away = False
    assert decision.identity is not None
    site.hospital.store.delete(decision.identity.object)
    outcome = site.run(site.came)
    assert isinstance(outcome, DeadLetter)
    assert site.result(outcome).code == "identity_erased"
    assert site.there.data_sets == []
