"""From outside is a study and not an image: who brings another image of it does not change whose patient's it is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from msgspec import structs

from consumers.forward.outside import Outside
from consumers.forward.peer import Peer
from consumers.forward.step import Forward
from consumers.validate.config import Limits as ValidateLimits
from consumers.validate.outside import OutsideFirst
from consumers.validate.step import Validate
from streams import events
from streams.clock import SystemClock
from streams.dimse.stored import Limits
from streams.events import SUBJECTS, ForwardResult, ImportDecision, InstanceReceived, InstanceValidated, StudyOutside
from streams.generation import of_facts
from streams.held import HeldImages
from streams.import_decisions import ImportDecisions
from streams.log import LogRefused, TopicPartition
from streams.outside_studies import TOPIC, OutsideStudies
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.routes.routes import load
from streams.step import Done, Input, Outcome, Quarantine, RetryLater
from streams.wire import SchemaIds, decode, encode
from tests import images
from tests.event_streams import TENANT, Hospital
from tests.held_images import log_of_holds, write
from tests.import_events import DISC, OURS, decided
from tests.nodes import Node, no_tls, node
from tests.received import events_of, identity, received
from tests.routers import AdjustableClock
from tests.unit.test_forward_step import ALL, HEAD, image


class Site:
    """What the router announces goes through validate to one destination, by a log that both ask."""

    def __init__(self, folder: Path, there: Node) -> None:
        (folder / "routes.toml").write_text(HEAD + ALL)
        self.there, self.hospital, self.log, self.folder = there, Hospital(), log_of_holds(), folder
        for kind in (ImportDecision, StudyOutside):
            self.log.create_topic(SUBJECTS[kind], 1)
        self.peer = Peer(there.destination(), no_tls())
        self.validate, self.forward = self.a_validate(), self.a_forward()

    def a_validate(self) -> OutsideFirst:
        """As a process that starts now has it."""
        validate = Validate(identity("validate"), self.hospital.store, ValidateLimits())
        return OutsideFirst(validate, self.log, SchemaIds(), "test", OutsideStudies(self.log, AdjustableClock()))

    def a_forward(self) -> Forward:
        """As a process that starts now has it."""
        clock = AdjustableClock()
        decisions = ImportDecisions(self.log, TENANT, clock)
        outside = Outside(OutsideStudies(self.log, clock), decisions, self.hospital.blocks, self.folder / "large")
        rules, held = load(self.folder / "routes.toml").about("node"), HeldImages(self.log, clock)
        return Forward("node", rules, self.peer, of_facts("forward"), self.hospital.store, Limits(), held, outside)

    def image(self, number: int, outside: events.Outside | None = None, **said: str) -> Input[InstanceReceived]:
        """One of a study of the patient X1, as the router says who brought it."""
        data = image(number, **{"PatientID": "X1", "PatientName": "DOE^J", "AccessionNumber": "A-100", **said})
        came = received(self.hospital.store, data)
        named = structs.replace(came.event.instance, sop_class_uid=images.CT)
        meta = structs.replace(came.event.meta, tenant=TENANT)
        return Input(structs.replace(came.event, meta=meta, instance=named, outside=outside), came.record)

    def judge(self, came: Input[InstanceReceived]) -> Outcome:
        (outcome,) = self.validate([came], SystemClock())
        return outcome

    def send(self, came: Input[InstanceReceived], forward: Forward | None = None) -> ForwardResult:
        """What is said of it in the end, by the forwarder that began first unless another is given."""
        judged = self.judge(came)
        assert isinstance(judged, Done), judged
        (valid,) = events_of(judged, self.hospital.store)
        assert isinstance(valid, InstanceValidated)
        (sent,) = (forward or self.forward)([Input(valid, came.record)], SystemClock())
        assert isinstance(sent, Done), sent
        (said,) = events_of(sent, self.hospital.store)
        assert isinstance(said, ForwardResult)
        return said

    def reconcile(self) -> None:
        write(self.log, decided(self.hospital, images.STUDY))

    def arrived(self) -> list[pydicom.Dataset]:
        files = (images.raw_file(data, EXPLICIT_VR_LITTLE_ENDIAN) for data in self.there.data_sets)
        return [pydicom.dcmread(io.BytesIO(file)) for file in files]

    def known(self) -> list[StudyOutside]:
        """What the log says, record by record."""
        place = TopicPartition(TOPIC, 0)
        _, end = self.log.bounds([place])[place]
        found = [decode(record) for record in self.log.read(place, 0, end)] if end else []
        return [event for event in found if isinstance(event, StudyOutside)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        made = Site(tmp_path, there)
        yield made
        made.peer.close()


def test_no_sender_makes_an_image_ours_while_nobody_has_said_whose_its_study_is(site: Site) -> None:
    """A workstation that no rule calls outside sends a further image of the disc's study, and one of the disc anew."""
    disc = site.image(1, DISC)
    assert site.send(disc).code == "not_reconciled"
    further, again = site.image(2), Input(structs.replace(disc.event, outside=None), disc.record)
    assert [site.send(one).code for one in (further, again)] == ["not_reconciled", "not_reconciled"]
    assert site.arrived() == []
    assert site.send(site.image(3, StudyInstanceUID="1.2.3.99")).code == ""
    assert len(site.arrived()) == 1


def test_a_forwarder_that_starts_between_two_images_knows_it_of_the_second(site: Site) -> None:
    site.send(site.image(1, DISC))
    assert site.send(site.image(2), site.a_forward()).code == "not_reconciled"
    assert site.arrived() == []


def test_what_another_process_found_out_a_moment_ago_is_known(site: Site) -> None:
    """The partition was another's until now: this one has looked at the log, and has not seen the image of the disc."""
    site.send(site.image(3, StudyInstanceUID="1.2.3.99"))
    site.send(site.image(1, DISC), site.a_forward())
    assert site.send(site.image(2)).code == "not_reconciled"


def test_reconciled_what_anybody_brings_goes_under_the_same_identity(site: Site) -> None:
    site.send(site.image(1, DISC))
    site.reconcile()
    assert [site.send(one).code for one in (site.image(1, DISC), site.image(2))] == ["coerced", "coerced"]
    for sent in site.arrived():
        assert (sent.PatientID, sent.AccessionNumber) == (OURS["PatientID"], OURS["AccessionNumber"])
        assert sent.OriginalAttributesSequence[0].SourceOfPreviousValues == DISC.issuer
    write(site.log, decided(site.hospital, images.STUDY, "unreconciled"))
    assert site.send(site.image(3)).code == "not_reconciled"


def test_a_study_that_was_ours_waits_too_from_its_first_image_from_outside_on(site: Site) -> None:
    """What went before stays where it is; a person says whose the rest is, and the rest is not sent before."""
    assert site.send(site.image(1)).code == ""
    assert [site.send(one).code for one in (site.image(2, DISC), site.image(3))] == ["not_reconciled"] * 2
    assert len(site.arrived()) == 1


def test_an_image_that_is_held_says_it_of_its_study(site: Site) -> None:
    disc = site.image(1, DISC)
    cut = structs.replace(disc.event.object, length=disc.event.object.length - 300, sha256="0" * 64)
    assert isinstance(site.judge(Input(structs.replace(disc.event, object=cut), disc.record)), Quarantine)
    assert site.send(site.image(2)).code == "not_reconciled"


def test_a_study_is_said_to_be_from_outside_once(site: Site) -> None:
    disc = [site.image(number, DISC) for number in range(8)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(site.judge, disc))
    site.validate = site.a_validate()
    site.judge(site.image(9, DISC))
    (said,) = site.known()
    assert (said.study_uid, said.outside) == (images.STUDY, DISC)
    assert said.meta.subject == images.STUDY


def test_what_was_made_here_says_nothing(site: Site) -> None:
    site.send(site.image(1))
    assert site.known() == []


@pytest.mark.parametrize("why", ["away", "refused"])
def test_nothing_comes_of_an_image_before_the_log_has_that_it_is_from_outside(
    site: Site, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise LogRefused("TOPIC_AUTHORIZATION_FAILED")

    if why == "refused":
        monkeypatch.setattr(site.log, "bounds", refuse)
    site.log.away = why == "away"
    outcome = site.judge(site.image(1, DISC))
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "world"
    assert isinstance(site.judge(site.image(2)), Done)
    monkeypatch.undo()
    site.log.away = False
    assert isinstance(site.judge(site.image(1, DISC)), Done)
    assert len(site.known()) == 1


def test_what_is_no_event_says_nothing_of_a_study(site: Site) -> None:
    message = encode(decided(site.hospital, images.STUDY), SchemaIds(), source="test")
    site.log.producer().send(replace(message, topic=TOPIC, value=b"\x00no event")).result(5)
    assert site.send(site.image(1)).code == ""
