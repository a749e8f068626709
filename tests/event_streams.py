"""Event streams as a hospital makes them, for tests of what reads the log: the same ones for the same seed.

Patients with several studies, a name that changes, duplicates, an instance in two lanes, one SOP Instance UID with two
contents, quarantined instances, a second generation, zombie records and late images.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import structs

from schemas import Lane, load_topics
from streams.events import (
    AuditEvent,
    Event,
    Finding,
    FrameRange,
    InstanceDerived,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    Meta,
    ObjectRef,
    OfInstance,
    Outside,
    Replay,
    Representation,
    StepGeneration,
    StudyRevision,
    Technical,
)
from streams.identity import derived_key, original_key
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.protected import ProtectedBlocks
from streams.replays import TOPIC as REPLAYS
from streams.revisions.step import set_digest
from streams.step import Input
from streams.wire import SchemaIds, decode, encode
from tests.instance_events import instance_of, meta_of, provenance_of, received_of, ref_of, validated_of

TENANT, SITE = "general", "north"
START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


class TestKeys:
    """Keys of one test site; another `site` has others."""

    __test__ = False

    def __init__(self, site: str = SITE) -> None:
        self._secret = site.encode()

    def current(self) -> str:
        return "k1"

    def encryption(self, key_id: str) -> bytes:
        return hashlib.sha512(self._secret + key_id.encode()).digest()

    def naming(self) -> bytes:
        return hashlib.sha256(self._secret).digest()


@dataclass
class Hospital:
    """Makes events. Its clock goes on by a second with each event."""

    seed: int = 0
    keys: TestKeys = field(default_factory=TestKeys)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.blocks = ProtectedBlocks(self.store, self.keys, TENANT)
        self._now = START

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def study(
        self,
        patient: str,
        name: str,
        *,
        date: str = "20261102",
        series: int = 2,
        images: int = 3,
        lane: Lane = "routine",
    ) -> list[InstanceReceived]:
        """The received events of one new study."""
        study_uid = self.uid()
        attributes = {
            "PatientID": patient,
            "PatientName": name,
            "PatientBirthDate": "19500101",
            "PatientSex": "F",
            "StudyDate": date,
            "StudyDescription": "CT CHEST",
            "AccessionNumber": f"A{self.random.randrange(10**6)}",
        }
        series_uids = [self.uid() for _ in range(series)]
        return [
            self.received(study_uid, series_uid, attributes, number=number, lane=lane)
            for series_uid in series_uids
            for number in range(1, images + 1)
        ]

    def uid(self) -> str:
        return f"2.25.{self.random.getrandbits(120)}"

    def received(
        self,
        study_uid: str,
        series_uid: str,
        attributes: dict[str, str],
        *,
        number: int = 1,
        sop_instance_uid: str | None = None,
        lane: Lane = "routine",
        outside: Outside | None = None,
    ) -> InstanceReceived:
        sop_instance_uid = self.uid() if sop_instance_uid is None else sop_instance_uid
        digest = hashlib.sha256(f"{sop_instance_uid}/{self.random.random()}".encode()).hexdigest()
        size = 527_000 + self.random.randrange(100)
        event = received_of(
            self.meta("dicom_router", digest, lane=lane),
            instance_of((study_uid, series_uid, sop_instance_uid), digest),
            self._ref(original_key(TENANT, study_uid, series_uid, sop_instance_uid, digest), size, digest),
            technical=Technical(modality="CT", series_number=1, instance_number=number, rows=512, columns=512),
            association=str(uuid.uuid4()),
            protected=(
                self.blocks.put("study", attributes),
                self.blocks.put("series", {"SeriesDescription": "LUNG", "StationName": series_uid[-4:]}),
            ),
        )
        return structs.replace(event, outside=outside)

    def validated(self, event: OfInstance, generation: int = 1, findings: int = 0) -> InstanceValidated:
        assert isinstance(event, InstanceReceived)
        found = tuple(
            Finding(rule=f"rule-{number}", severity="warning", text="Not as the standard wants it.", tag="0008,0060")
            for number in range(findings)
        )
        meta = self.meta("validate", event.instance.digest, generation, lane=event.meta.lane)
        return validated_of(event, meta, provenance_of("validate", generation), found)

    def quarantined(self, event: InstanceReceived, generation: int = 1, code: str = "truncated") -> InstanceQuarantined:
        return InstanceQuarantined(
            meta=self.meta("validate", event.instance.digest, generation, ordinal=1, lane=event.meta.lane),
            provenance=provenance_of("validate", generation),
            instance=event.instance,
            object=event.object,
            code=code,
            detail="The pixel data is shorter than the header says.",
        )

    def derived(self, event: OfInstance, generation: int = 1) -> InstanceDerived:
        meta = self.meta("derive", event.instance.digest, generation, lane=event.meta.lane)
        sha256 = hashlib.sha256(meta.event_id.encode()).hexdigest()
        ref = self._ref(derived_key(TENANT, meta.event_id), 200_000, sha256)
        kinds: tuple[tuple[Literal["lossless", "thumbnail"], int, int], ...] = (
            ("lossless", 0, 190_000),
            ("thumbnail", 190_000, 10_000),
        )
        return InstanceDerived(
            meta=meta,
            provenance=provenance_of("derive", generation),
            instance=event.instance,
            source_size=527_000,
            representations=tuple(
                Representation(
                    kind=kind,
                    media_type="image/jpeg" if kind == "thumbnail" else "application/dicom",
                    rows=512,
                    columns=512,
                    object=structs.replace(ref, offset=offset, length=length),
                    frames=(FrameRange(offset=offset, length=length),),
                )
                for kind, offset, length in kinds
            ),
        )

    def revision(self, events: Sequence[OfInstance], number: int = 1) -> StudyRevision:
        first = events[0]
        study_uid = first.instance.study_uid
        digests = sorted({event.instance.digest for event in events})
        meta = self.meta("revisions", f"{study_uid}/{number}", 0, lane=first.meta.lane)
        return StudyRevision(
            meta=meta,
            provenance=provenance_of("revisions", 0),
            study_uid=study_uid,
            revision=number,
            instance_count=len(digests),
            set_digest=set_digest(digests),
            manifest=self._ref(derived_key(TENANT, meta.event_id), 100, "0" * 64),
            covers={"t": number},
            first_received_at=START,
            last_received_at=meta.occurred_at,
        )

    def audit(self, action: str = "store", outcome: Literal["success", "refused"] = "refused") -> AuditEvent:
        return AuditEvent(
            meta=self.meta("audit", str(self.random.getrandbits(64))),
            provenance=provenance_of("audit", 0),
            actor="CT1",
            action=action,
            outcome=outcome,
            attributes={"status": "A700"},
        )

    def replay(self, step: str, number: int) -> StepGeneration:
        """The claim of a replay's number."""
        digest = hashlib.sha256(f"{step}/{number}".encode()).hexdigest()
        return StepGeneration(
            meta=self.meta("generation", f"{step}/{digest}", number),
            step=step,
            digest=digest,
            number=number,
            build="0.1.0",
            config_digest="c" * 64,
            replay=Replay(name=f"test-{number}", ends={"imaging.instance.validated/0": 1}),
        )

    def came_to(self, claim: StepGeneration, phase: Literal["completed", "switched", "published"]) -> StepGeneration:
        ordinal = ("claimed", "completed", "switched", "published").index(phase)
        meta = self.meta("generation", claim.meta.subject, claim.number, ordinal)
        return structs.replace(claim, meta=meta, phase=phase)

    def again(self, event: InstanceReceived, lane: Lane | None = None) -> InstanceReceived:
        """The same instance received once more, later, perhaps in another lane: the same event id."""
        meta = structs.replace(event.meta, occurred_at=self.now(), lane=lane or event.meta.lane)
        source = structs.replace(event.source, association=str(uuid.uuid4()))
        return structs.replace(event, meta=meta, source=source)

    def meta(self, step: str, subject: str, generation: int = 0, ordinal: int = 0, lane: Lane = "routine") -> Meta:
        return meta_of(
            subject, step, tenant=TENANT, site=SITE, lane=lane, generation=generation, ordinal=ordinal, at=self.now()
        )

    def _ref(self, key: str, size: int, sha256: str) -> ObjectRef:
        return ref_of(key, size, sha256, tenant=TENANT, version_id="v1")


@dataclass(frozen=True)
class Candidate:
    """An event that a replay made: it stands in the topic of replays."""

    event: Event


def night(hospital: Hospital) -> Iterator[Event | Candidate]:
    """A night with everything in it that ought to change nothing."""
    # Made of what this file makes.
    from tests.commitment_events import committed
    from tests.forward_events import routed
    from tests.import_events import imported
    from tests.inference_events import analysed
    from tests.order_events import ordered
    from tests.quarantine_events import judged_by_people
    from tests.tiering_events import archived

    for number in range(6):
        images = hospital.study(f"P{number // 2}", f"DOE^{number}", date=f"202611{number + 1:02d}")
        yield from whole(hospital, images)
    stroke = hospital.study("P9", "STROKE^STAT", lane="stat")
    yield from whole(hospital, stroke)
    # The same images again as bulk: other topics, the same events.
    for image in stroke:
        yield hospital.again(image, "bulk")
        verdict = hospital.validated(image)
        yield structs.replace(verdict, meta=structs.replace(verdict.meta, lane="bulk"))
    yield from conflicts(hospital)
    yield from reprocessed(hospital)
    yield from replayed(hospital)
    yield from archived(hospital, stroke)
    yield from committed(hospital, stroke)
    yield from analysed(hospital, stroke)
    yield from routed(hospital, stroke)
    yield from (hospital.audit() for _ in range(5))
    yield from ordered(hospital)
    yield from imported(hospital)
    yield from judged_by_people(hospital)


def whole(hospital: Hospital, images: Sequence[InstanceReceived]) -> Iterator[Event]:
    """One study from receipt to its second revision, with duplicates and zombie records."""
    # Made of what this file makes.
    from tests.assessment_events import assessed, strangers_among

    for image in images:
        yield image
        if hospital.random.random() < 0.3:
            yield hospital.again(image)
        verdict = hospital.validated(image, findings=hospital.random.randrange(3))
        yield verdict
        if hospital.random.random() < 0.2:  # a zombie says it once more, later
            yield structs.replace(verdict, meta=structs.replace(verdict.meta, occurred_at=hospital.now()))
        yield hospital.derived(image)
    yield (first := hospital.revision(images))
    yield first
    late = hospital.received(images[0].instance.study_uid, images[0].instance.series_uid, {"PatientID": "P0"})
    yield late
    yield hospital.validated(late)
    yield hospital.derived(late)
    yield (second := hospital.revision([*images, late], 2))
    yield first  # an old decision, read late: ignored
    held = strangers_among(hospital, [late] if hospital.random.random() < 0.3 else [])
    yield from held
    for revision in (second, first, second):  # in any order, and one of them twice
        yield assessed(hospital, revision, "series_gap", held=len(held[:1]))


def conflicts(hospital: Hospital) -> Iterator[Event]:
    """Other content under the same UID; an instance that is held; text that PostgreSQL cannot hold; no UIDs at all."""
    images = hospital.study("P7", "TWO^CONTENTS", series=1)
    yield from images
    for image in images:
        uids = image.instance
        other = hospital.received(
            uids.study_uid,
            uids.series_uid,
            {"PatientID": "P7", "PatientName": "OTHER^NAME"},
            sop_instance_uid=uids.sop_instance_uid,
        )
        yield other
        yield hospital.validated(image)
        yield hospital.validated(other)
    held = hospital.received(images[0].instance.study_uid, images[0].instance.series_uid, {"PatientID": "P7\0"})
    yield held
    yield hospital.quarantined(held)
    nameless = hospital.received("", "", {"PatientName": "NUL\0 AND \ud800"}, sop_instance_uid="")
    yield nameless
    yield hospital.quarantined(nameless, code="no-identity")


def reprocessed(hospital: Hospital) -> Iterator[Event]:
    """A second generation lets go what the first held, and holds what it let go."""
    bad, good = hospital.study("P8", "TWICE^JUDGED", series=1, images=2)
    yield from (bad, good)
    yield from (hospital.quarantined(bad), hospital.validated(good))
    yield from (hospital.derived(good), hospital.derived(good, 2))
    yield from (hospital.validated(bad, 2), hospital.quarantined(good, 2))


def replayed(hospital: Hospital) -> Iterator[Event | Candidate]:
    """A replay of derive that was switched to and is half published, and one of validate that nobody switched to."""
    images = hospital.study("P11", "MADE^AGAIN", series=1, images=3)
    for image in images:
        yield from (image, hospital.validated(image), hospital.derived(image))
    derive, validate = hospital.replay("derive", 2), hospital.replay("validate", 2)
    yield from (derive, validate)
    for image in images:
        yield Candidate(made := hospital.derived(image, 2))
        yield Candidate(hospital.quarantined(image, 2))
    yield from (hospital.came_to(derive, phase) for phase in ("completed", "switched"))
    yield structs.replace(made, meta=structs.replace(made.meta, lane="bulk"))


def new_log(partitions: int = 6) -> MemoryLog:
    """An empty log with every topic."""
    log, topics = MemoryLog(), load_topics()
    for name, topic in topics.topics.items():
        for physical in topics.physical(name):
            log.create_topic(physical, 1 if topic.kind == "single" else partitions)
    return log


def write(log: MemoryLog, events: Iterable[Event | Candidate]) -> None:
    producer = log.producer()
    for event in events:
        if isinstance(event, Candidate):
            message = replace(encode(event.event, SchemaIds(), source="test"), topic=REPLAYS)
        else:
            message = encode(event, SchemaIds(), source="test")
        producer.send(message).result()


def partitions_of(log: MemoryLog, group: str = "catalog") -> list[TopicPartition]:
    """Every partition that a group reads and that has records."""
    names = [
        TopicPartition(topic, number)
        for topic in load_topics().read_by(group)
        for number in range(log.partitions(topic))
    ]
    return [name for name, (start, end) in log.bounds(names).items() if end > start]


def inputs(log: MemoryLog, partition: TopicPartition) -> list[Input[Event]]:
    start, end = log.bounds([partition])[partition]
    return [Input(decode(record), record) for record in log.read(partition, start, end)]
