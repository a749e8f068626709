"""Storage commitment between the router, the service and a modality that pynetdicom speaks for (PS3.4 annex J)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec import structs
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from gateway.dimse.moving import node_of
from producers.dicom_router.commitment import action
from producers.dicom_router.commitment.references import REFERENCES_MAX
from producers.dicom_router.spool.config import Settings as Spool
from streams.commitment_turns import TURN_S, Turns
from streams.events import CommitmentRequest
from streams.memory_store import MemoryStore
from streams.metrics import COMMITMENT_REPORTS
from streams.objects import StoreAway
from streams.step import NewObject, Stored
from streams.wire import Message
from tests.commitment_peers import Modality, Report, ask, asked, asking, listening
from tests.commitment_world import REPORTS, REQUESTS, RESULTS, TOPICS, World, told, with_topics
from tests.hooked_log import Crash, HookedLog, Hooks
from tests.ports import free_port
from tests.raw_peer import RawPeer, associate_rq, command, context_item, p_data, pdv, short
from tests.routers import CT, Ct, Router, running_router
from tests.waiting import wait_until

MR = "1.2.840.10008.5.1.4.1.1.4"


class Absent(MemoryStore):
    """Takes nothing while `is_away`."""

    is_away = False

    def create(self, new: NewObject) -> Stored:
        if self.is_away:
            raise StoreAway("away")
        return super().create(new)


@pytest.fixture
def router() -> Iterator[Router]:
    with running_router() as running:
        yield running


@pytest.fixture
def world(router: Router, tmp_path: Path) -> World:
    with_topics(router.log, [name for name in TOPICS if name != REQUESTS])
    return World(tmp_path / "nodes.toml", router.log)


def requests(router: Router) -> list[CommitmentRequest]:
    return [event for event in told(router.log, REQUESTS) if isinstance(event, CommitmentRequest)]


# The router.


@pytest.mark.parametrize("role", [True, False], ids=["with role selection", "without"])
def test_a_request_is_in_the_log_when_it_is_answered(router: Router, role: bool) -> None:
    assert ask(router.target, "2.25.7", [(CT, "1.2.3"), (MR, "1.2.4")], role=role) == 0x0000
    (event,) = requests(router)
    assert event.transaction_uid == "2.25.7"
    assert (event.source.calling_ae, event.source.called_ae) == ("CT1", "RADSTREAM")
    assert [(one.sop_class_uid, one.sop_instance_uids) for one in event.references] == [
        (CT, ("1.2.3",)),
        (MR, ("1.2.4",)),
    ]


def test_the_same_request_again_is_the_same_event_and_another_is_not(router: Router) -> None:
    for references in ([(CT, "1.1"), (CT, "1.2")], [(CT, "1.2"), (CT, "1.1")], [(CT, "1.1")]):
        assert ask(router.target, "2.25.7", references) == 0x0000
    assert ask(router.target, "2.25.7", [(CT, "1.1")], calling_ae="CT2") == 0x0000
    assert len({event.meta.event_id for event in requests(router)}) == 3


def test_what_is_no_request_is_refused_and_audited(router: Router) -> None:
    many = [(CT, f"2.25.{number}") for number in range(1, REFERENCES_MAX + 2)]
    assert ask(router.target, "2.25.7", [(CT, "1.2")], action_type=2) == 0x0123
    assert ask(router.target, "2.25.7", [(CT, "1.2")], sop_instance="1.2.3") == 0x0112
    assert ask(router.target, "DOE^JOHN", [(CT, "1.2")]) == 0x0115
    assert ask(router.target, "2.25.7", []) == 0x0115
    assert ask(router.target, "2.25.7", many) == 0x0213
    assert requests(router) == []
    audited = router.audited()
    assert [event.attributes["status"] for event in audited] == ["0x0123", "0x0112", "0x0115", "0x0115", "0x0213"]
    assert {event.action for event in audited} == {"n-action.refused"}
    assert not any("DOE" in str(event) for event in audited)


def test_a_data_set_over_the_ceiling_is_refused_and_the_association_goes_on(router: Router) -> None:
    modality = AE(ae_title="CT1")
    association = modality.associate(
        router.target.host,
        router.target.port,
        contexts=[build_context(StorageCommitmentPushModel), build_context(Verification)],
    )
    assert association.is_established
    status, _ = association.send_n_action(with_text(5 << 20), 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
    assert status.Status == 0x0213
    assert association.send_c_echo().Status == 0x0000
    association.release()


def with_text(size: int) -> Dataset:
    request = asked("2.25.7", [])
    request.TextValue = "x" * size
    return request


def test_a_log_that_is_away_is_no_success(router: Router) -> None:
    router.log.away = True
    assert ask(router.target, "2.25.7", [(CT, "1.2")]) == 0x0110
    router.log.away = False
    assert requests(router) == []


@pytest.fixture
def spooling(tmp_path: Path) -> Iterator[tuple[Router, Absent]]:
    """Has 1.2.3 on its spool alone."""
    store = Absent()
    with running_router(store, spool=Spool(folder=tmp_path / "spool", patience_s=0.2)) as running:
        store.is_away = True
        assert running.send(Ct(instance="1.2.3").item()).statuses == {"0000": 1}
        yield running, store


def test_what_is_on_the_spool_alone_is_not_asked_for(
    spooling: tuple[Router, Absent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive may have an older image under the UID, and would promise that one."""
    router, _ = spooling
    monkeypatch.setattr(action, "_SPOOLED_S_MAX", 0.3)
    assert ask(router.target, "2.25.7", [(CT, "1.2.4"), (CT, "1.2.3")]) == 0x0110
    assert requests(router) == []
    assert "spool" in router.audited()[-1].reason
    assert ask(router.target, "2.25.8", [(CT, "1.2.4")]) == 0x0000


def test_who_asks_while_it_is_drained_waits_for_that(
    spooling: tuple[Router, Absent], monkeypatch: pytest.MonkeyPatch
) -> None:
    router, store = spooling
    monkeypatch.setattr(action, "_SPOOLED_S_MAX", 60.0)
    with ThreadPoolExecutor(1) as pool:
        asking_for_it = pool.submit(ask, router.target, "2.25.7", [(CT, "1.2.3")])
        store.is_away = False
        assert asking_for_it.result() == 0x0000
    assert [event.instance.sop_instance_uid for event in router.received()] == ["1.2.3"]


def test_an_action_in_a_context_of_storage_is_refused(router: Router) -> None:
    modality = AE(ae_title="CT1")
    association = modality.associate(
        router.target.host, router.target.port, contexts=[build_context(StorageCommitmentPushModel), build_context(CT)]
    )
    commitment, storage = association.accepted_contexts
    storage._abstract_syntax, commitment._abstract_syntax = commitment.abstract_syntax, storage.abstract_syntax
    status, _ = association.send_n_action(with_text(10), 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
    assert status.Status == 0x0118
    association.release()


# The router and the service.


def test_what_is_safe_is_told_on_an_association_of_our_own(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1", "1.2")
    with listening(Modality()) as modality, world.running():
        world.node(modality.port)
        assert ask(router.target, "2.25.7", [(CT, "1.1"), (CT, "1.2")]) == 0x0000
        (report,) = wait_until(world.reports, "the confirmation in the log")
    assert modality.reports == [Report(1, "2.25.7", frozenset({"1.1", "1.2"}), {}, "RADSTREAM")]
    assert (report.outcome, report.node, report.status) == ("delivered", "ct-1", 0)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_failures_are_told_with_their_reasons(router: Router, world: World) -> None:
    """Leading zeros are the sender's own, and come back as they went."""
    world.shelf.holds(CT, "1.1.01")
    world.shelf.holds(CT, "1.2", copies=1)
    with listening(Modality()) as modality, world.running():
        world.node(modality.port)
        ask(router.target, "2.25.7", [(CT, "1.1.01"), (CT, "1.2"), (CT, "1.3"), (MR, "1.1.01"), (Verification, "1.4")])
        wait_until(world.shelf.asked.is_set, "a look")
        world.clock.ahead_s = world.settings.deadline_s + 1
        wait_until(world.reports, "the confirmation in the log")
    (told_,) = modality.reports
    assert told_.event_type == 2
    assert told_.failed == {"1.2": 0x0110, "1.3": 0x0112, "1.1.01": 0x0119, "1.4": 0x0122}


def test_a_transaction_uid_that_is_in_use_is_said_to_be(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1", "1.2")
    with listening(Modality()) as modality, world.running():
        world.node(modality.port)
        ask(router.target, "2.25.7", [(CT, "1.1")])
        wait_until(lambda: len(world.reports()) == 1, "the first")
        ask(router.target, "2.25.7", [(CT, "1.2")])
        wait_until(lambda: len(world.reports()) == 2, "the second")
    assert [report.failed for report in modality.reports] == [{}, {"1.2": 0x0131}]


def test_a_modality_that_was_switched_off_is_told_later(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1")
    modality = Modality(port=free_port())
    world.node(modality.port)
    missed = COMMITMENT_REPORTS.labels("ct-1", "no_association")
    before = missed._value.get()
    with world.running():
        ask(router.target, "2.25.7", [(CT, "1.1")])
        wait_until(lambda: missed._value.get() > before, "a try in vain")
        with listening(modality):
            # It is left alone for a while after a try in vain.
            world.clock.ahead_s += 60
            wait_until(world.reports, "the confirmation in the log")
    assert len(modality.reports) == 1


def test_a_modality_that_is_off_is_spared_while_much_waits_for_it(router: Router, world: World) -> None:
    """Each try costs seconds of a thread that others wait for."""
    world.shelf.holds(CT, "1.1")
    modality = Modality(port=free_port())
    world.node(modality.port)
    missed = COMMITMENT_REPORTS.labels("ct-1", "no_association")
    before = missed._value.get()
    with world.running():
        for number in range(8):
            ask(router.target, f"2.25.{number}", [(CT, "1.1")])
        wait_until(lambda: len(world.results()) == 8, "the results")
        wait_until(lambda: missed._value.get() > before, "a try in vain")
        with listening(modality):
            world.clock.ahead_s += 60
            wait_until(lambda: len(world.reports()) == 8, "all confirmations")
    assert {report.transaction_uid for report in modality.reports} == {f"2.25.{number}" for number in range(8)}
    # Those that had begun before the first of them failed, and no more.
    assert missed._value.get() - before <= world.settings.runner.threads


def test_a_modality_that_is_silent_keeps_nobody_else_waiting(router: Router, world: World) -> None:
    """It takes the association and the report, and never answers."""
    world.shelf.holds(CT, "1.1")
    world.settings = structs.replace(world.settings, answer_s_max=600.0)
    uids = {f"2.25.{number}" for number in range(8)}
    with listening(Modality()) as one, listening(Modality(), ae_title="CT2") as other, world.running():
        node = '[{}]\nae_title = "{}"\nhost = "127.0.0.1"\nport = {}\n'
        world.nodes.write_text(node.format("ct-1", "CT1", one.port) + node.format("ct-2", "CT2", other.port))
        with one.silent():
            for uid in uids:
                ask(router.target, uid, [(CT, "1.1")])
            wait_until(lambda: len(world.results()) == len(uids), "the results")
            wait_until(lambda: one.at_once, "the first report")
            ask(router.target, "2.25.9", [(CT, "1.1")], calling_ae="CT2")
            wait_until(lambda: other.reports, "what is told to the other one")
        wait_until(lambda: len(world.reports()) == len(uids) + 1, "all confirmations")
    assert {report.transaction_uid for report in one.reports} == uids
    assert one.at_once_max == 1


def test_a_modality_that_was_silent_is_left_alone_for_a_while(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1")
    world.settings = structs.replace(world.settings, answer_s_max=5.0)
    lost = COMMITMENT_REPORTS.labels("ct-1", "lost")
    before = lost._value.get()
    with listening(Modality()) as modality, world.running():
        world.node(modality.port)
        with modality.silent():
            for number in range(8):
                ask(router.target, f"2.25.{number}", [(CT, "1.1")])
            wait_until(lambda: lost._value.get() > before, "a try in vain")
            waiting = world.parked()
            wait_until(lambda: world.parked() > waiting + 32, "all to be looked at again")
            assert lost._value.get() - before == 1
        world.clock.ahead_s += 60
        wait_until(lambda: len(world.reports()) == 8, "all confirmations")


def test_what_waits_while_another_is_told_is_not_given_up_without_a_try(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1")
    world.settings = structs.replace(world.settings, answer_s_max=600.0)
    with listening(Modality()) as modality, world.running():
        world.node(modality.port)
        with modality.silent():
            for uid in ("2.25.7", "2.25.8"):
                ask(router.target, uid, [(CT, "1.1")])
            wait_until(lambda: len(world.results()) == 2, "the results")
            wait_until(lambda: modality.at_once, "the first report")
            world.clock.ahead_s = world.settings.report_s_max + 1
            before = looks()
            wait_until(lambda: looks() > before, "the other one to be looked at again")
        wait_until(lambda: len(world.reports()) == 2, "both confirmations")
    assert [report.outcome for report in world.reports()] == ["delivered", "delivered"]


def looks() -> float:
    return REGISTRY.get_sample_value("radstream_step_seconds_count", {"group": "commitment"}) or 0.0


def test_a_modality_that_refuses_is_asked_again(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1")
    with listening(Modality(statuses=[0x0110, 0x0213])) as modality, world.running():
        world.node(modality.port)
        ask(router.target, "2.25.7", [(CT, "1.1")])
        wait_until(world.reports, "the confirmation in the log")
    assert len(modality.reports) == 3


def test_a_modality_that_takes_no_role_is_named_with_what_is_wrong(router: Router, world: World) -> None:
    world.shelf.holds(CT, "1.1")
    with listening(Modality(), takes_role=False) as modality, world.running():
        world.node(modality.port)
        ask(router.target, "2.25.7", [(CT, "1.1")])
        wait_until(world.results, "the result")
        world.clock.ahead_s = world.settings.report_s_max + 1
        (report,) = wait_until(world.reports, "the end of it")
    assert report.outcome == "abandoned"
    assert modality.reports == []


def test_a_modality_that_listens_for_reports_elsewhere_is_told_there(router: Router, world: World) -> None:
    """As sites have it that entered both ports, before a node had one for reports."""
    world.shelf.holds(CT, "1.1")
    with listening(Modality(), takes_role=False) as images, listening(Modality()) as modality, world.running():
        node = '[{}]\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {}\n'
        world.nodes.write_text(node.format("ct-1", images.port) + node.format("ct-1-reports", modality.port))
        ask(router.target, "2.25.7", [(CT, "1.1")])
        (report,) = wait_until(world.reports, "the confirmation in the log")
    assert (len(images.reports), len(modality.reports)) == (0, 1)
    assert (report.outcome, report.node) == ("delivered", "ct-1-reports")


def test_a_modality_with_a_port_for_reports_is_told_there_and_is_still_a_destination(
    router: Router, world: World
) -> None:
    world.shelf.holds(CT, "1.1")
    with listening(Modality(), takes_role=False) as images, listening(Modality()) as modality, world.running():
        node = f'[ct-1]\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {images.port}\n'
        world.nodes.write_text(f"{node}commitment_port = {modality.port}\n")
        ask(router.target, "2.25.7", [(CT, "1.1")])
        (report,) = wait_until(world.reports, "the confirmation in the log")
        assert node_of(world.nodes, "CT1").port == images.port
    assert (len(images.reports), len(modality.reports)) == (0, 1)
    assert (report.outcome, report.node) == ("delivered", "ct-1")


@pytest.mark.parametrize("topic", [RESULTS, REPORTS, "imaging.retry.commitment"])
def test_a_service_that_dies_forgets_nothing(router: Router, world: World, topic: str) -> None:
    """Before the result, after the report that the modality has confirmed, and where a request was put aside."""

    def dies(message: Message) -> None:
        if message.topic == topic:
            raise Crash

    with listening(Modality()) as modality:
        world.node(modality.port)
        if topic != "imaging.retry.commitment":
            world.shelf.holds(CT, "1.1")
        assert ask(router.target, "2.25.7", [(CT, "1.1")]) == 0x0000
        with world.running(HookedLog(router.log, "", Hooks(before_send=dies))):
            wait_until(world.shelf.asked.is_set, "a look")
            if topic == REPORTS:
                wait_until(lambda: modality.reports, "the report")
        world.shelf.holds(CT, "1.1")
        with world.running():
            wait_until(world.reports, "the confirmation in the log")
    # What was not committed when it died is said once more, by the same name: a result, and whether it was told.
    assert len({event.meta.event_id for event in world.results()}) == 1
    assert len({event.meta.event_id for event in world.reports()}) == 1
    # The modality may hear it again, and hears the same.
    assert set(map(str, modality.reports)) == {str(modality.reports[0])}
    assert len(modality.reports) >= 2 if topic == REPORTS else len(modality.reports) == 1


# On the association that asked.


def patient(router: Router, world: World, seconds: float = 30.0) -> None:
    """The service leaves a result to the association that asked for so long, and shares the router's store."""
    world.store = router.held
    world.settings = structs.replace(world.settings, association_first_s=seconds)


def test_who_waits_on_the_association_that_asked_is_told_on_it_and_not_again(router: Router, world: World) -> None:
    patient(router, world)
    world.shelf.holds(CT, "1.1", "1.2")
    asker, node = Modality(), Modality()
    with listening(node), world.running():
        world.node(node.port)
        with asking(router.target, asker, "2.25.7", [(CT, "1.1"), (CT, "1.2")]):
            wait_until(lambda: asker.reports, "the report")
            world.clock.ahead_s += 40
            (report,) = wait_until(world.reports, "the confirmation in the log")
    assert asker.reports == [Report(1, "2.25.7", frozenset({"1.1", "1.2"}), {}, "CT1")]
    assert node.reports == []
    assert (report.outcome, report.node, report.status) == ("delivered", None, 0)


def test_who_needs_no_entry_among_the_nodes_is_told_of_failures_too(router: Router, world: World) -> None:
    patient(router, world)
    world.settings = structs.replace(world.settings, deadline_s=60.0)
    asker = Modality()
    with world.running(), asking(router.target, asker, "2.25.7", [(CT, "1.1")]):
        wait_until(world.shelf.asked.is_set, "a look")
        world.clock.ahead_s = world.settings.deadline_s + 1
        wait_until(lambda: asker.reports, "the report")
    assert asker.reports == [Report(2, "2.25.7", frozenset(), {"1.1": 0x0112}, "CT1")]


def test_who_does_not_take_it_there_is_told_by_the_service(router: Router, world: World) -> None:
    patient(router, world)
    world.shelf.holds(CT, "1.1")
    asker, node = Modality(statuses=[0x0110]), Modality()
    with listening(node), world.running():
        world.node(node.port)
        with asking(router.target, asker, "2.25.7", [(CT, "1.1")]):
            wait_until(lambda: asker.reports, "the report")
            world.clock.ahead_s += 40
            (report,) = wait_until(world.reports, "the confirmation in the log")
    assert (len(asker.reports), len(node.reports)) == (1, 1)
    assert (report.outcome, report.node) == ("delivered", "ct-1")


def test_who_asks_again_on_another_association_is_told_again(router: Router, world: World) -> None:
    patient(router, world, seconds=0.0)
    world.shelf.holds(CT, "1.1")
    node = Modality()
    with listening(node), world.running():
        world.node(node.port)
        for count in (1, 2):
            ask(router.target, "2.25.7", [(CT, "1.1")])
            wait_until(lambda count=count: len(node.reports) == count, f"report {count}")


def test_a_turn_that_nobody_ended_is_over_after_a_while(router: Router, world: World) -> None:
    """A router that dies between its turn and what came of it: the service tells."""
    patient(router, world, seconds=0.0)
    world.shelf.holds(CT, "1.1")
    node = Modality()
    with listening(node), world.running():
        world.node(node.port)
        ask(router.target, "2.25.7", [(CT, "1.1")])
        (result,) = wait_until(world.results, "the result")
        wait_until(world.reports, "the first confirmation")
        again = structs.replace(result, meta=structs.replace(result.meta, occurred_at=world.clock.now()))
        assert Turns(world.store, world.clock).take(again, "association")[1]
        waiting = world.parked()
        world.write(again)
        wait_until(lambda: world.parked() > waiting, "the service to wait for the other's turn")
        assert len(node.reports) == 1
        world.clock.ahead_s += TURN_S + 1
        wait_until(lambda: len(node.reports) == 2, "the report")


def test_a_response_to_nothing_ends_its_association(router: Router) -> None:
    context = context_item(1, StorageCommitmentPushModel)
    response = command(short(0x0100, 0x8100), short(0x0120, 1), short(0x0800, 0x0101), short(0x0900, 0))
    with RawPeer(router.target).associated(associate_rq(context)) as peer:
        peer.send(p_data(pdv(response, command=True)))
        assert peer.aborted() == (0, 0)
