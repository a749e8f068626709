"""The accounts: whatever happened to an instance, somebody's sum names it, and a loss is seen."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from consumers.catalog.counts import COUNTED
from producers.dicom_router.arrival import REFUSED
from radstream.accounts import Equation, of_catalog, of_log, of_store
from radstream.errors import Failure
from radstream.flow import Gauge
from radstream.log_census import LogCensus
from radstream.log_scan import LAST_WRITTEN_FIRST, moved_since, scan
from radstream.status import findings_of, verdicts_of
from radstream.store_census import census_of
from schemas import load_topics
from streams.deadletters import dead_letter
from streams.events import (
    AuditEvent,
    Event,
    Finding,
    Instance,
    InstanceDerived,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    Meta,
    ObjectRef,
    Phase,
    ProtectedNote,
    Provenance,
    QuarantineCommand,
    Source,
    Technical,
    TierCopy,
    TierItem,
    TierMoved,
)
from streams.identity import event_id
from streams.letters import letters
from streams.log import LogAway, TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.redriving import redrive_one
from streams.step import NewObject
from streams.wire import Message, SchemaIds, encode

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass
class Site:
    """A log and a store, and what services would write into them."""

    log: MemoryLog = field(default_factory=MemoryLog)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        topics = load_topics()
        for name in topics.topics:
            for physical in topics.physical(name):
                self.log.create_topic(physical, 1 if topics.topics[name].kind == "single" else 3)

    def write(self, event: Event) -> None:
        self.log.append(encode(event, SchemaIds(), source="test"))

    def received(self, name: str, *, kept: bool = True) -> None:
        ref = self._object(f"t/studies/1.2/1.2.3/{name}/{digest_of(name)}.dcm", kept=kept)
        source = Source(protocol="DIMSE", calling_ae="A", called_ae="B", association="1")
        self.write(InstanceReceived(**about(name, "dicom_router", 0), object=ref, technical=Technical(), source=source))

    def validated(self, name: str, generation: int = 1) -> None:
        ref = self._object("", kept=False)
        self.write(InstanceValidated(**about(name, "validate", 0, generation), object=ref, technical=Technical()))

    def quarantined(self, name: str, generation: int = 1) -> None:
        ref = self._object("", kept=False)
        self.write(
            InstanceQuarantined(**about(name, "validate", 1, generation), object=ref, code="unreadable", detail="")
        )

    def derived(self, name: str) -> None:
        self.write(InstanceDerived(**about(name, "derive", 0, 1), source_size=1))

    def refused(self, number: int, action: str = "c-store.refused") -> None:
        fields = about(str(number), "audit", 0)
        del fields["instance"]
        self.write(AuditEvent(**fields, actor="A", action=action, outcome="refused", reason="why"))

    def all_read(self, group: str) -> None:
        """The group commits all there is."""
        topics = load_topics().read_by(group)
        partitions = [TopicPartition(topic, n) for topic in topics for n in range(self.log.partitions(topic))]
        consumer = self.log.consumer(group, topics, lambda _: {}, lambda *_: None, co_partitioned=True)
        consumer.poll(1, 0)
        consumer.commit({partition: end for partition, (_, end) in self.log.bounds(partitions).items()})
        consumer.close()

    def put_aside(self, topic: str, group: str, name: str) -> None:
        physical = load_topics().of_group(topic, group)
        self.log.append(Message(physical, b"k", b"", (("ce_subject", digest_of(name).encode()),)))

    def _object(self, key: str, *, kept: bool) -> ObjectRef:
        if kept:
            return self.store.create(NewObject("t", "hot", key, b"x")).ref
        return ObjectRef(tenant="t", store="hot", key=key, length=1, size=1, sha256="")

    def equations(self) -> dict[str, Equation]:
        census = scan(self.log, {})
        found = (*of_log(census), *of_store(census, census_of(self.store, "t")))
        return {equation.name: equation for equation in found}


def digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def about(name: str, step: str, ordinal: int, generation: int = 0) -> dict[str, Any]:
    digest = digest_of(name)
    return {
        "meta": Meta(
            event_id=event_id("t", step, digest, ordinal, generation),
            tenant="t",
            site="s",
            lane="routine",
            subject=digest,
            occurred_at=NOW,
        ),
        "provenance": Provenance(step=step, build="1", generation=generation, config_digest=""),
        "instance": Instance(
            study_uid="1.2",
            series_uid="1.2.3",
            sop_instance_uid=f"1.2.3.{len(name)}",
            sop_class_uid="1.2",
            transfer_syntax_uid="1.2",
            digest=digest,
        ),
    }


def number_of(site: Site, partition: int) -> int:
    name = TopicPartition("imaging.instance.received", partition)
    return site.log.bounds([name])[name][1]


@pytest.fixture
def site() -> Site:
    return Site()


def right(equation: Equation) -> dict[str, int]:
    return {term.what: term.count for term in equation.right}


def test_an_empty_site_agrees(site: Site):
    assert all(equation.agrees and equation.left.count == 0 for equation in site.equations().values())


def test_every_request_is_received_a_duplicate_or_refused(site: Site):
    for name in ("a", "b", "a", "a"):
        site.received(name)
    for number, action in enumerate(REFUSED.values()):
        site.refused(number, action)
    site.refused(10, "send")
    requests = site.equations()["requests"]
    assert requests.left.count == 7
    assert right(requests) == {"received": 2, "duplicates": 2, "refused": 3}
    assert requests.agrees


def test_what_is_on_the_spool_is_a_request_and_counted_once_when_it_was_received_meanwhile(site: Site):
    site.received("a")
    (requests, *_) = of_log(scan(site.log, {}), {digest_of("a"), digest_of("b")})
    assert requests.left.count == 2
    assert right(requests) == {"received": 1, "duplicates": 0, "refused": 0, "on the spool": 1}
    assert requests.agrees


def test_what_is_not_read_yet_is_in_flight(site: Site):
    site.received("a")
    site.all_read("validate")
    site.received("b")
    site.validated("a")
    equations = site.equations()
    assert right(equations["validate"])["in flight"] == 1
    assert right(equations["derive"]) == {
        "derived": 0,
        "in flight": 1,
        "parked by derive": 0,
        "dead letters of derive": 0,
    }
    assert all(equation.agrees for equation in equations.values())


def test_what_was_read_and_has_no_result_is_a_loss(site: Site):
    site.received("a")
    site.received("b")
    site.validated("a")
    site.all_read("validate")
    equation = site.equations()["validate"]
    assert not equation.agrees
    assert str(equation).startswith("2 received = 1 validated + 0 quarantined + 0 in flight")


def test_a_result_that_nobody_received_is_seen(site: Site):
    site.validated("a")
    assert not site.equations()["validate"].agrees


def test_a_dead_letter_that_is_redriven_is_parked_until_it_is_taken(site: Site):
    site.received("a")
    site.all_read("validate")
    (record,) = (
        record
        for number in range(3)
        for record in site.log.read(TopicPartition("imaging.instance.received", number), 0, number_of(site, number))
    )
    site.log.append(dead_letter(record, "validate", "why", NOW))
    (letter,) = letters(site.log, "validate")
    assert right(site.equations()["validate"])["dead letters of validate"] == 1

    redrive_one(site.log, site.log.producer(), letter, "tester", NOW)
    equation = site.equations()["validate"]
    assert (right(equation)["dead letters of validate"], right(equation)["parked by validate"]) == (0, 1)
    assert equation.agrees

    site.validated("a")
    site.all_read("validate")
    assert site.equations()["validate"].agrees


def test_parked_and_dead_are_named(site: Site):
    for name in ("parked", "dead", "judged"):
        site.received(name)
    site.all_read("validate")
    site.put_aside("imaging.retry", "validate", "parked")
    site.put_aside("imaging.deadletter", "validate", "dead")
    site.quarantined("judged")
    equation = site.equations()["validate"]
    assert right(equation) == {
        "validated": 0,
        "quarantined": 1,
        "in flight": 0,
        "parked by validate": 1,
        "dead letters of validate": 1,
    }
    assert equation.agrees


def test_the_highest_generation_decides(site: Site):
    site.received("a")
    site.quarantined("a", generation=2)
    site.validated("a", generation=1)
    site.all_read("validate")
    equation = site.equations()["validate"]
    assert right(equation)["quarantined"] == 1
    assert equation.agrees


def test_a_missing_original_is_seen(site: Site):
    site.received("a")
    site.received("b", kept=False)
    equation = site.equations()["original objects"]
    assert (equation.left.count, equation.agrees) == (2, False)


def test_the_catalog_has_every_event_or_has_not_read_it(site: Site):
    site.received("a")
    site.received("b")
    topic = "imaging.instance.received"
    census = LogCensus()
    census.events[topic] = {"1", "2", "3"}
    census.read_by_catalog[topic] = {"1", "2"}
    assert of_catalog(census, {topic: 2})[0].agrees
    assert not of_catalog(census, {topic: 1})[0].agrees


def test_the_ledger_says_what_the_catalog_has_read(site: Site):
    for number in range(20):
        site.received(str(number))
    topic = "imaging.instance.received"
    bounds = site.log.bounds([TopicPartition(topic, n) for n in range(3)])
    (full,) = (partition for partition, (_, end) in bounds.items() if end)
    assert scan(site.log, {full: 5}).events_unread_by_catalog(topic) == 15


def decided(site: Site, name: str, action: str, number: int = 0, code: str = "unreadable") -> None:
    ref = site._object(f"t/protected/{name}{number}", kept=True)
    said = about(name, "quarantine", number)
    note = ProtectedNote(block_id="b", object=ref)
    facts = {"technical": Technical(), "action": action, "code": code, "actor": "a", "why": note}
    site.write(QuarantineCommand(**said, object=ref, **facts))


def let_go(site: Site, name: str) -> None:
    """What validate writes of what was released."""
    finding = Finding(rule="released_by_hand", severity="error", text="It was held.")
    said = about(name, "quarantine", 100)
    ref = site._object("", kept=False)
    site.write(InstanceValidated(**said, object=ref, technical=Technical(), findings=(finding,)))


def rejection(site: Site, name: str) -> None:
    """What validate writes of what was rejected."""
    said = about(name, "quarantine", 101)
    site.write(InstanceQuarantined(**said, object=site._object("", kept=False), code="rejected", detail=""))


def test_what_people_let_go_is_validated_and_what_they_reject_is_held(site: Site):
    for name in ("released", "asked", "rejected", "doubted", "waiting"):
        site.received(name)
        site.quarantined(name, 2)
    for name, action in (("released", "released"), ("asked", "released"), ("rejected", "rejected")):
        decided(site, name, action)
    let_go(site, "released")
    decided(site, "doubted", "released")
    let_go(site, "doubted")
    decided(site, "doubted", "rejected", 1)
    for name in ("rejected", "doubted"):
        rejection(site, name)
    site.derived("released")
    census = scan(site.log, {})
    assert census.in_use == {digest_of("released")}
    assert census.quarantine_codes() == {"unreadable": 4}
    assert census.undecided_codes() == {"unreadable": 1}
    assert verdicts_of(census) == {"accepted": 0, "accepted_with_findings": 1, "quarantined": 4}
    assert findings_of(census) == {"released_by_hand": 1}
    assert all(equation.agrees for equation in site.equations().values())


def test_what_was_released_is_held_again_as_another_patients(site: Site):
    site.received("a")
    site.quarantined("a", 2)
    decided(site, "a", "released")
    let_go(site, "a")
    assert scan(site.log, {}).undecided_codes() == {}
    said = about("a", "assess", 1)
    site.write(InstanceQuarantined(**said, object=site._object("", kept=False), code="contradicts_patient", detail="-"))
    census = scan(site.log, {})
    assert (census.in_use, census.undecided_codes()) == (set(), {"contradicts_patient": 1})
    decided(site, "a", "released", 1, "contradicts_patient")
    census = scan(site.log, {})
    assert (census.in_use, census.undecided_codes()) == ({digest_of("a")}, {})


def test_bytes_that_are_no_event_are_counted_and_stop_nothing(site: Site):
    headers = (("schema_subject", b"imaging.instance.received"), ("schema_version", b"1"))
    site.log.append(Message("imaging.instance.received", b"k", b"\0\0\0\0\0rubbish", headers))
    site.received("a")
    census = scan(site.log, {})
    assert census.undecodable["imaging.instance.received"] == 1
    assert len(census.received) == 1


def test_whatever_the_catalog_counts_is_counted_in_the_log():
    assert set(LAST_WRITTEN_FIRST) == set(COUNTED)


def test_lag_is_what_is_not_committed(site: Site):
    gauge = Gauge(site.log)
    site.received("a")
    site.received("b")
    assert gauge.read().lag == {"validate": 2, "derive": 0, "revisions": 0, "ai": 0, "tiering": 0, "catalog": 2}
    site.all_read("validate")
    assert gauge.read().lag == {"validate": 0, "derive": 0, "revisions": 0, "ai": 0, "tiering": 0, "catalog": 2}
    assert not gauge.read().is_still
    site.all_read("catalog")
    assert gauge.read().is_still


def test_a_broker_that_comes_back_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch):
    gauge, answers = Gauge(site.log), iter((LogAway("gone"), LogAway("still"), None))
    bounds = site.log.bounds

    def sometimes_away(partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        if (error := next(answers, None)) is not None:
            raise error
        return bounds(partitions)

    monkeypatch.setattr(site.log, "bounds", sometimes_away)
    assert gauge.wait_until_still(lambda: True, 30.0).is_still


def test_a_broker_that_stays_away_is_a_failure(site: Site, monkeypatch: pytest.MonkeyPatch):
    gauge = Gauge(site.log)

    def away(partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        raise LogAway("gone")

    monkeypatch.setattr(site.log, "bounds", away)
    with pytest.raises(Failure, match="broker does not answer"):
        gauge.wait_until_still(lambda: True, 0.0)


# Tiers.


STORES = ("hot", "warm", "backup")


def moved(site: Site, name: str, seq: int, phase: Phase, stores: tuple[str, ...], source: str | None = None) -> None:
    digest = digest_of(name)
    copies = tuple(TierCopy(store=store, verified=True) for store in stores)
    item = TierItem(series_uid="1.2.3", sop_instance_uid=name, digest=digest, size=1, copies=copies)
    fields = about(f"1.2/{seq}", "tiering", 0)
    del fields["instance"]
    site.write(
        TierMoved(
            **fields | {"meta": structs.replace(fields["meta"], subject=f"1.2/{seq}")},
            study_uid="1.2",
            seq=seq,
            move=seq,
            phase=phase,
            why="age" if source else "backup",
            source=source,
            target="warm" if source else "backup",
            serving="hot",
            items=(item,),
            covers={},
            decided_for=NOW,
        )
    )


def key_of(name: str) -> str:
    return f"t/studies/1.2/1.2.3/{name}/{digest_of(name)}.dcm"


def copies_of(site: Site) -> Equation:
    census = scan(site.log, {})
    held = census_of(site.store, "t", STORES)
    return {one.name: one for one in of_store(census, held, moved_since(site.log, census))}["verified copies"]


def test_an_original_is_counted_once_in_whatever_stores_it_is(site: Site):
    site.received("4")
    for store in ("warm", "backup"):
        site.store.create(NewObject("t", store, key_of("4"), b"x"))
    census = census_of(site.store, "t", STORES)
    assert list(census.originals) == [key_of("4")]
    assert {name: len(keys) for name, keys in census.copies.items()} == {"hot": 1, "warm": 1, "backup": 1}
    assert of_store(scan(site.log, {}), census)[0].agrees


def test_a_verified_copy_that_is_gone_is_seen(site: Site):
    site.received("4")
    moved(site, "4", 1, "verified", ("hot", "backup"))
    assert not copies_of(site).agrees
    site.store.create(NewObject("t", "backup", key_of("4"), b"x"))
    assert copies_of(site).agrees


def test_a_source_that_is_being_released_is_in_flight_until_it_is_released(site: Site):
    for store in ("warm", "backup"):
        site.store.create(NewObject("t", store, key_of("4"), b"x"))
    moved(site, "4", 1, "switched", ("hot", "warm", "backup"), "hot")
    equation = copies_of(site)
    assert equation.agrees
    assert right(equation) == {"of them in their stores": 2, "in flight": 1}
    moved(site, "4", 2, "released", ("warm", "backup"), "hot")
    equation = copies_of(site)
    assert equation.agrees
    assert right(equation) == {"of them in their stores": 2, "in flight": 0}


def test_a_study_that_moves_while_the_stores_are_listed_is_in_flight(site: Site):
    moved(site, "4", 1, "verified", ("hot",))
    census = scan(site.log, {})
    moved(site, "4", 2, "planned", ("hot",), "hot")
    assert moved_since(site.log, census) == {"1.2"}
    assert of_store(census, census_of(site.store, "t", STORES), {"1.2"})[-1].agrees
    assert not of_store(census, census_of(site.store, "t", STORES))[-1].agrees


def test_what_another_step_holds_is_held_whatever_validate_says_of_it_since(site: Site):
    """As an image of another patient is, by the assessment of its study."""
    for name in ("a", "b"):
        site.received(name)
        site.validated(name)
        site.derived(name)
    ref = ObjectRef(tenant="t", store="hot", key="", length=1, size=1, sha256="")
    held = InstanceQuarantined(**about("a", "assess", 1, 1), object=ref, code="contradicts_patient", detail="")
    site.write(held)
    site.validated("a", generation=2)
    equations = site.equations()
    assert right(equations["validate"])["validated"] == 1
    assert right(equations["validate"])["quarantined"] == 1
    assert equations["validate"].agrees
    assert equations["derive"].agrees
