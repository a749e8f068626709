"""The events, typed: one Struct for each record in `schemas/avro`; a test holds the two equal."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from schemas import Lane
from streams.identity import partition_key


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope: what every event says of itself."""

    event_id: str
    tenant: str
    site: str
    lane: Lane
    subject: str
    occurred_at: datetime


class InputRef(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    topic_id: str
    partition: int
    offset: int
    event_id: str


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    step: str
    build: str
    generation: int
    config_digest: str
    models: tuple[str, ...] = ()
    inputs: tuple[InputRef, ...] = ()


class Encryption(msgspec.Struct, frozen=True, kw_only=True):
    scheme: str
    key_id: str
    wrapped_key: bytes | None = None


class ObjectRef(msgspec.Struct, frozen=True, kw_only=True):
    """Claim check. `sha256` (hex) is of the `length` bytes from `offset`, not of the whole object of `size` bytes."""

    tenant: str
    store: str
    key: str
    length: int
    size: int
    sha256: str
    offset: int = 0
    version_id: str | None = None
    encryption: Encryption | None = None


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """UIDs that PS3.5 section 9.1 does not allow are empty strings."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str


class Technical(msgspec.Struct, frozen=True, kw_only=True):
    modality: str | None = None
    body_part: str | None = None
    series_number: int | None = None
    instance_number: int | None = None
    rows: int | None = None
    columns: int | None = None
    frames: int | None = None
    samples_per_pixel: int | None = None
    bits_allocated: int | None = None
    bits_stored: int | None = None
    pixel_representation: int | None = None
    photometric: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    rule: str
    severity: Literal["info", "warning", "error"]
    text: str
    tag: str | None = None
    section: str | None = None
    type: str | None = None


class ProtectedRef(msgspec.Struct, frozen=True, kw_only=True):
    level: Literal["study", "series"]
    block_id: str
    object: ObjectRef


class Source(msgspec.Struct, frozen=True, kw_only=True):
    protocol: str
    calling_ae: str
    called_ae: str
    association: str


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """It was made elsewhere, says a rule of the site. `issuer` is of patient IDs that name none themselves."""

    rule: str
    issuer: str


class FrameRange(msgspec.Struct, frozen=True, kw_only=True):
    offset: int
    length: int


class Representation(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["lossless", "thumbnail", "other", "preview", "strip", "enhanced"]
    media_type: str
    rows: int
    columns: int
    object: ObjectRef
    transfer_syntax_uid: str | None = None
    frames: tuple[FrameRange, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    meta: Meta


class Derived(Event, frozen=True, kw_only=True):
    """An event that a step made: it says from what."""

    provenance: Provenance


class OfInstance(Derived, frozen=True, kw_only=True):
    """An event about one SOP instance."""

    instance: Instance


class InstanceReceived(OfInstance, frozen=True, kw_only=True):
    """`preamble` is what stood in front of a file that is stored without it (`streams.preamble`); since version 3."""

    object: ObjectRef
    technical: Technical
    source: Source
    protected: tuple[ProtectedRef, ...] = ()
    outside: Outside | None = None
    preamble: str | None = None


class InstanceValidated(OfInstance, frozen=True, kw_only=True):
    """`source` is that of the receipt; None in records of before version 2. `outside` is, too, since version 3.

    `metadata_sha256` (hex) is of the data set without pixel data (`streams.part10.metadata_sha256`).
    """

    object: ObjectRef
    technical: Technical
    findings: tuple[Finding, ...] = ()
    source: Source | None = None
    outside: Outside | None = None
    metadata_sha256: str | None = None


class InstanceQuarantined(OfInstance, frozen=True, kw_only=True):
    object: ObjectRef
    code: str
    detail: str


class InstanceDerived(OfInstance, frozen=True, kw_only=True):
    source_size: int
    representations: tuple[Representation, ...] = ()
    notes: tuple[str, ...] = ()


class ForwardResult(OfInstance, frozen=True, kw_only=True):
    """`target` is a destination, or a tag. `status` is that of the C-STORE response, where there was one."""

    action: Literal["forward", "tag", "other"]
    target: str
    outcome: Literal["done", "warned", "failed", "other"]
    rules: tuple[str, ...] = ()
    status: int | None = None
    code: str = ""
    detail: str = ""
    sent_transfer_syntax_uid: str | None = None
    sent_bytes: int = 0


class StudyRevision(Derived, frozen=True, kw_only=True):
    study_uid: str
    revision: int
    instance_count: int
    set_digest: str
    manifest: ObjectRef
    covers: dict[str, int]
    first_received_at: datetime
    last_received_at: datetime
    removals: dict[str, int] = {}


class NamedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """A content of a SOP instance, by its digest."""

    sop_instance_uid: str
    digest: str


class StudyFinding(msgspec.Struct, frozen=True, kw_only=True):
    """`instances` are the first of `instance_count`. Without a `series_uid` it is about the study as a whole."""

    rule: str
    severity: Literal["info", "warning", "error"]
    text: str
    instance_count: int
    tag: str | None = None
    section: str | None = None
    series_uid: str | None = None
    instances: tuple[NamedInstance, ...] = ()


class AuditEvent(Derived, frozen=True, kw_only=True):
    actor: str
    action: str
    outcome: Literal["success", "refused", "failure"]
    reason: str = ""
    attributes: dict[str, str] = {}


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay reads. `starts` and `ends` are offsets by 'topic/partition'."""

    name: str
    since: datetime | None = None
    study_uid: str | None = None
    starts: dict[str, int] = {}
    ends: dict[str, int] = {}


class StepGeneration(Event, frozen=True, kw_only=True):
    """A claim of a number; or, of a replay, that it came to a phase. With a `replay` it is a candidate."""

    step: str
    digest: str
    number: int
    build: str
    config_digest: str
    models: tuple[str, ...] = ()
    replay: Replay | None = None
    phase: Literal["claimed", "completed", "switched", "published", "other"] = "claimed"


class ProtectedNote(msgspec.Struct, frozen=True, kw_only=True):
    """Free text of a person, in an encrypted block."""

    block_id: str
    object: ObjectRef


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A coded concept (PS3.3 section 8)."""

    scheme: str
    value: str
    meaning: str


class ImageRef(msgspec.Struct, frozen=True, kw_only=True):
    sop_instance_uid: str
    frame: int | None = None


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """`points` holds x, y, z of each point, in millimetres of the patient's coordinates (PS3.3 section C.7.6.2.1.1)."""

    kind: Literal["point", "box", "mask", "other"]
    frame_of_reference_uid: str
    points: tuple[float, ...]
    images: tuple[ImageRef, ...] = ()


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    code: Code
    value: float
    unit: Code


class ResultFinding(msgspec.Struct, frozen=True, kw_only=True):
    finding_id: str
    category: Literal["detection", "segmentation", "measurement", "classification", "other"]
    code: Code
    location: Code | None = None
    geometry: Geometry | None = None
    measurements: tuple[Measurement, ...] = ()
    confidence: float | None = None
    severity: Literal["none", "low", "moderate", "high", "critical"] = "none"


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    digest: str
    card_digest: str
    backend: str


class ResultObject(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["sr", "seg", "other"]
    instance: Instance
    object: ObjectRef


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    waited_ms: float
    read_ms: float
    prepared_ms: float
    inferred_ms: float
    described_ms: float


class OfStudy(Derived, frozen=True, kw_only=True):
    """An event about a study, or about a part of it that is no single instance."""

    study_uid: str


class StudyAssessed(OfStudy, frozen=True, kw_only=True):
    """Whether a revision's instances fit together. `read_count` of them were compared."""

    revision: int
    set_digest: str
    instance_count: int
    read_count: int
    held_count: int
    findings: tuple[StudyFinding, ...] = ()


class InferenceResult(OfStudy, frozen=True, kw_only=True):
    input_digest: str
    input_count: int
    outcome: Literal["analysed", "not_analysed", "out_of_scope", "failed"]
    model: ModelRef
    timings: Timings
    series_uid: str | None = None
    sop_instance_uid: str | None = None
    revision: int | None = None
    status: Literal["preliminary"] = "preliminary"
    requires_review: bool = True
    code: str = ""
    detail: str = ""
    findings: tuple[ResultFinding, ...] = ()
    objects: tuple[ResultObject, ...] = ()


class ReviewEvent(OfStudy, frozen=True, kw_only=True):
    """`findings`, where the verdict is modified, hold instead of the model's."""

    result_event_id: str
    verdict: Literal["confirmed", "rejected", "modified", "other"]
    reviewer: str
    finding_id: str | None = None
    note: ProtectedNote | None = None
    findings: tuple[ResultFinding, ...] = ()


class TierCopy(msgspec.Struct, frozen=True, kw_only=True):
    store: str
    verified: bool
    version_id: str | None = None


class TierItem(msgspec.Struct, frozen=True, kw_only=True):
    series_uid: str
    sop_instance_uid: str
    digest: str
    size: int
    copies: tuple[TierCopy, ...]


class ChainLink(msgspec.Struct, frozen=True, kw_only=True):
    """One instance. `series` is a position in its record's list; digests are 32 bytes."""

    series: int
    sop_instance_uid: str
    digest: bytes
    metadata: bytes | None = None


class StudyChain(OfStudy, frozen=True, kw_only=True):
    """A decision: the first record with (study, seq) counts. Hashes are 32 bytes (streams/chains/links.py)."""

    seq: int
    first: int
    previous: bytes
    series: tuple[str, ...]
    links: tuple[ChainLink, ...]
    hash: bytes
    covers: dict[str, int]


class ChainSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets of one partition of imaging.study.chain, from `start` to before `end`."""

    partition: int
    start: int
    end: int
    digest: bytes


class ChainHead(Derived, frozen=True, kw_only=True):
    """A decision: the first record with a number counts. A span for each partition (streams/chains/heads.py)."""

    seq: int
    previous: bytes
    chain_topic_id: str
    spans: tuple[ChainSpan, ...]
    hash: bytes
    key_id: str
    public_key: bytes
    signature: bytes


Phase = Literal["planned", "copied", "verified", "switched", "released", "abandoned"]


class TierMoved(OfStudy, frozen=True, kw_only=True):
    """A decision: the first record with (study, seq) counts. `items` is the whole study after this phase."""

    seq: int
    move: int
    phase: Phase
    why: Literal["backup", "age", "recall", "other"]
    target: str
    serving: str
    items: tuple[TierItem, ...]
    covers: dict[str, int]
    decided_for: datetime
    source: str | None = None
    last_access_at: datetime | None = None
    holds: tuple[str, ...] = ()


class TierCommand(Derived, frozen=True, kw_only=True):
    now: datetime
    simulated: bool
    actor: str
    study_uid: str | None = None
    ask: Literal["look", "restore"] = "look"


class HoldCommand(OfStudy, frozen=True, kw_only=True):
    hold_id: str
    action: Literal["placed", "released"]
    actor: str
    why: ProtectedNote


class ProtectedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """Patient attributes and text, in an encrypted block."""

    block_id: str
    object: ObjectRef


class ImportDecision(OfStudy, frozen=True, kw_only=True):
    """Whose a study from outside is here. An unreconciled one has no `identity`."""

    action: Literal["reconciled", "unreconciled", "other"]
    actor: str
    why: ProtectedNote
    order_id: str | None = None
    identity: ProtectedBlock | None = None


class StudyOutside(OfStudy, frozen=True, kw_only=True):
    """A study has an image from outside. Said before anything else comes of that image (`streams.outside_studies`)."""

    outside: Outside


class QuarantineCommand(OfInstance, frozen=True, kw_only=True):
    """What a person decided on an instance that is held for `code`. What is needed to let it flow is all here."""

    object: ObjectRef
    technical: Technical
    action: Literal["released", "rejected", "other"]
    code: str
    actor: str
    why: ProtectedNote
    source: Source | None = None
    outside: Outside | None = None


class AccessRead(OfStudy, frozen=True, kw_only=True):
    reads: int
    first_at: datetime
    last_at: datetime
    reader: str


class OrderStep(msgspec.Struct, frozen=True, kw_only=True):
    """A scheduled procedure step. Date (YYYYMMDD) and time (HHMMSS) are local to the site."""

    block: ProtectedBlock
    modality: str | None = None
    station_aes: tuple[str, ...] = ()
    start_date: str | None = None
    start_time: str | None = None


class OrderCommand(Derived, frozen=True, kw_only=True):
    """`order_id` is a pseudonym. A change states the whole order anew, a cancellation nothing of it.

    A completion names the steps that are done, by the ID in their blocks; where it names none, all are.
    """

    order_id: str
    action: Literal["placed", "changed", "cancelled", "completed", "other"]
    actor: str
    priority: Literal["stat", "high", "routine", "medium", "low", "other"] = "routine"
    study_uid: str | None = None
    study_uid_made: bool = False
    block: ProtectedBlock | None = None
    steps: tuple[OrderStep, ...] = ()


class PerformedSeries(msgspec.Struct, frozen=True, kw_only=True):
    series_uid: str
    instances: int


class MppsEvent(Derived, frozen=True, kw_only=True):
    """A performed procedure step was created or set. `status` is the one after it."""

    mpps_uid: str
    action: Literal["created", "set", "other"]
    status: Literal["in_progress", "completed", "discontinued", "other"]
    calling_ae: str
    block: ProtectedBlock
    study_uids: tuple[str, ...] = ()
    modality: str | None = None
    series: tuple[PerformedSeries, ...] = ()


class SopReferences(msgspec.Struct, frozen=True, kw_only=True):
    """Instances of one SOP class, as somebody names them."""

    sop_class_uid: str
    sop_instance_uids: tuple[str, ...]


class FailedReferences(msgspec.Struct, frozen=True, kw_only=True):
    """References that were not committed. `reason` is a Failure Reason (PS3.3 section C.14.1.1)."""

    reason: int
    sop_class_uid: str
    sop_instance_uids: tuple[str, ...]


class OfTransaction(Derived, frozen=True, kw_only=True):
    """An event about a storage commitment (PS3.4 annex J). `source` is who asked for it."""

    transaction_uid: str
    source: Source


class CommitmentRequest(OfTransaction, frozen=True, kw_only=True):
    references: tuple[SopReferences, ...]


class CommitmentResult(OfTransaction, frozen=True, kw_only=True):
    """`copies` is how many verified copies each committed instance had at least."""

    request_event_id: str
    requested_at: datetime
    copies: int
    committed: tuple[SopReferences, ...] = ()
    failed: tuple[FailedReferences, ...] = ()


class CommitmentReport(OfTransaction, frozen=True, kw_only=True):
    """What became of telling the requester. `status` is that of the N-EVENT-REPORT response, where there was one."""

    request_event_id: str
    outcome: Literal["delivered", "abandoned", "other"]
    node: str | None = None
    status: int | None = None
    detail: str = ""


# By the schema's subject, which is also the logical topic.
EVENTS: dict[str, type[Event]] = {
    "imaging.instance.received": InstanceReceived,
    "imaging.instance.validated": InstanceValidated,
    "imaging.instance.quarantined": InstanceQuarantined,
    "imaging.instance.derived": InstanceDerived,
    "imaging.study.revision": StudyRevision,
    "imaging.audit.event": AuditEvent,
    "imaging.step.generation": StepGeneration,
    "imaging.inference.result": InferenceResult,
    "imaging.review.event": ReviewEvent,
    "imaging.tier.moved": TierMoved,
    "imaging.tier.command": TierCommand,
    "imaging.hold.command": HoldCommand,
    "imaging.access.read": AccessRead,
    "imaging.order.command": OrderCommand,
    "imaging.mpps.event": MppsEvent,
    "imaging.forward.result": ForwardResult,
    "imaging.commitment.request": CommitmentRequest,
    "imaging.commitment.result": CommitmentResult,
    "imaging.commitment.report": CommitmentReport,
    "imaging.import.decision": ImportDecision,
    "imaging.quarantine.command": QuarantineCommand,
    "imaging.study.outside": StudyOutside,
    "imaging.study.assessed": StudyAssessed,
    "imaging.study.chain": StudyChain,
    "imaging.chain.head": ChainHead,
}
SUBJECTS: dict[type[Event], str] = {kind: subject for subject, kind in EVENTS.items()}


def key_of(event: Event) -> bytes:
    """The record key: tenant and study for instance topics, else what makes compaction and order right."""
    if isinstance(event, OfInstance):
        return partition_key(event.meta.tenant, event.instance.study_uid or event.instance.digest)
    if isinstance(event, StudyRevision | OfStudy) or (isinstance(event, TierCommand) and event.study_uid is not None):
        return partition_key(event.meta.tenant, str(event.study_uid))
    if isinstance(event, OfTransaction):
        return partition_key(event.meta.tenant, event.transaction_uid)
    if isinstance(event, StepGeneration):
        return f"{event.meta.tenant}|{event.step}|{event.digest}".encode()
    if isinstance(event, OrderCommand):
        return f"{event.meta.tenant}|{event.order_id}".encode()
    if isinstance(event, MppsEvent):
        return f"{event.meta.tenant}|{event.mpps_uid}".encode()
    return f"{event.meta.tenant}|{event.meta.event_id}".encode()
