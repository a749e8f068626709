"""What the log holds, counted by reading all of it.

Memory and time grow with the log: a set of digests and a set of event ids. Right for a demo and a test; an archive of
years asks its catalog.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from producers.dicom_router.arrival import REFUSED
from streams.events import (
    EVENTS,
    SUBJECTS,
    AuditEvent,
    Event,
    HoldCommand,
    InferenceResult,
    InstanceDerived,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    MppsEvent,
    OrderCommand,
    ProtectedNote,
    QuarantineCommand,
    ReviewEvent,
    StudyRevision,
    TierItem,
    TierMoved,
)
from streams.held import DECISION, covers
from streams.identity import derived_key, original_key
from streams.log import TopicPartition

_REFUSALS = frozenset(REFUSED.values())


@dataclass(frozen=True)
class Verdict:
    generation: int
    code: str | None
    """Why it is in quarantine, or None where it may be used."""
    findings: tuple[str, ...] = ()
    """Names of the rules that it breaks."""


@dataclass
class LogCensus:
    """Instances are named by their digest, events by their id, objects by their key."""

    records: Counter[str] = field(default_factory=Counter)
    undecodable: Counter[str] = field(default_factory=Counter)
    events: dict[str, set[str]] = field(default_factory=lambda: {topic: set() for topic in EVENTS})
    received: set[str] = field(default_factory=set)
    received_bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    """By instance and step: what any of them holds is held."""
    decisions: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By instance: what a person decided last on its quarantine (released or rejected), held for which reason."""
    let_go: dict[str, Verdict] = field(default_factory=dict)
    """Instances that flow because a person released them."""
    derivations: dict[str, InstanceDerived] = field(default_factory=dict)
    revisions: dict[str, StudyRevision] = field(default_factory=dict)
    tiers: dict[str, TierMoved] = field(default_factory=dict)
    """By study: where its copies are."""
    studies: set[str] = field(default_factory=set)
    original_keys: set[str] = field(default_factory=set)
    derived_keys: set[str] = field(default_factory=set)
    kept_keys: set[str] = field(default_factory=set)
    """Objects that no event refers to and that have an event's name: results as they were kept."""
    protected_keys: set[str] = field(default_factory=set)
    unread: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By group: subjects of records that it has not committed."""
    parked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    dead_letters: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    read_by_catalog: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By topic: ids of events that the catalog has committed."""
    moves_read: dict[TopicPartition, int] = field(default_factory=dict)
    """Where reading imaging.tier.moved ended."""

    @property
    def received_records(self) -> int:
        return self.records["imaging.instance.received"]

    @property
    def duplicates(self) -> int:
        return self.received_records - len(self.events["imaging.instance.received"])

    @property
    def refused_total(self) -> int:
        return sum(self.refused.values())

    @property
    def in_use(self) -> set[str]:
        return {digest for digest in self.verdicts if self._held(digest) is None}

    @property
    def quarantined(self) -> set[str]:
        return {digest for digest in self.verdicts if self._held(digest) is not None}

    def _held(self, digest: str) -> str | None:
        """Why it is held; None where it may be used. The last word is a person's."""
        match self.decisions.get(digest):
            case "released", str(released) if digest in self.let_go:
                return next((code for code in self._codes(digest) if not covers(released, code)), None)
            case "rejected", _:
                return next(self._codes(digest), "rejected")
        return next(self._codes(digest), None)

    def _codes(self, digest: str) -> Iterator[str]:
        """Why steps hold it."""
        return (one.code for one in self.verdicts[digest].values() if one.code is not None)

    @property
    def derived(self) -> set[str]:
        return set(self.derivations)

    def quarantine_codes(self) -> dict[str, int]:
        """How many instances are in quarantine for each reason, decided on or not."""
        codes = Counter(code for digest in self.verdicts if (code := self._held(digest)) is not None)
        return dict(sorted(codes.items()))

    def undecided_codes(self) -> dict[str, int]:
        """How many of them wait for a person's decision."""
        open_ = (digest for digest in self.verdicts if not self._is_decided(digest))
        codes = Counter(code for digest in open_ if (code := self._held(digest)) is not None)
        return dict(sorted(codes.items()))

    def _is_decided(self, digest: str) -> bool:
        match self.decisions.get(digest):
            case "released", str(released):
                return all(covers(released, code) for code in self._codes(digest))
            case decided:
                return decided is not None

    def findings(self) -> dict[str, frozenset[str]]:
        """Of what may be used, the rules that each instance breaks; empty where it breaks none."""
        return {
            digest: frozenset(self.let_go[digest].findings if digest in self.let_go else self._findings(digest))
            for digest in self.in_use
        }

    def _findings(self, digest: str) -> frozenset[str]:
        return frozenset().union(*(one.findings for one in self.verdicts[digest].values()))

    def verified_copies(self) -> dict[tuple[str, str], str]:
        """The study of each copy that was read back, by store and key: where it is until another move says so."""
        return {
            (copy.store, _key(event, item)): event.study_uid
            for event in self.tiers.values()
            for item in event.items
            for copy in item.copies
            if copy.verified
        }

    def releasing(self) -> set[str]:
        """Studies with a move under way that may end with the deletion of its source."""
        ended = ("released", "abandoned")
        return {event.study_uid for event in self.tiers.values() if event.source and event.phase not in ended}

    def events_unread_by_catalog(self, topic: str) -> int:
        return len(self.events[topic] - self.read_by_catalog[topic])

    def add(self, event: Event) -> None:
        """Counts one record of a topic of truth. Records of one event count once, but for `records`."""
        topic = SUBJECTS[type(event)]
        self.records[topic] += 1
        if event.meta.event_id in self.events[topic]:
            return
        self.events[topic].add(event.meta.event_id)
        match event:
            case InstanceReceived():
                self._received(event)
            case InstanceValidated() | InstanceQuarantined():
                self._judged(event)
            case InstanceDerived():
                self._derived(event)
            case StudyRevision() | TierMoved():
                self._decided(event)
            case InferenceResult():
                self._kept(event)
            case HoldCommand() | ReviewEvent() | OrderCommand() | MppsEvent():
                self.protected_keys.update(_blocks_of(event))
            case QuarantineCommand():
                self.decisions[event.instance.digest] = event.action, event.code
                self.protected_keys.add(event.why.object.key)
            case AuditEvent(action=action) if action in _REFUSALS:
                self.refused[event.reason] += 1

    def add_candidate(self, event: Event) -> None:
        """Counts what a replay made: its events are rows of the catalog, its objects are in the store, and it decides
        nothing before it is switched to."""
        self.events[SUBJECTS[type(event)]].add(event.meta.event_id)
        if isinstance(event, InstanceDerived):
            self.derived_keys.update(copy.object.key for copy in event.representations)
        if isinstance(event, InferenceResult):
            self._kept(event)

    def _kept(self, event: InferenceResult) -> None:
        """What was answered is kept under its name; a failure is not."""
        if event.outcome != "failed":
            self.kept_keys.add(derived_key(event.meta.tenant, event.meta.event_id))

    def _decided(self, event: StudyRevision | TierMoved) -> None:
        """The highest number of a study is how it stands; within one, the first record wins."""
        if isinstance(event, TierMoved):
            if (tier := self.tiers.get(event.study_uid)) is None or event.seq > tier.seq:
                self.tiers[event.study_uid] = event
            return
        self.derived_keys.add(event.manifest.key)
        if (known := self.revisions.get(event.study_uid)) is None or event.revision > known.revision:
            self.revisions[event.study_uid] = event

    def _received(self, event: InstanceReceived) -> None:
        self.received.add(event.instance.digest)
        self.received_bytes += event.object.length
        self.studies.add(event.instance.study_uid)
        self.original_keys.add(event.object.key)
        self.protected_keys.update(block.object.key for block in event.protected)

    def _judged(self, event: InstanceValidated | InstanceQuarantined) -> None:
        """The highest generation is current; within one, the first record wins."""
        digest, generation = event.instance.digest, event.provenance.generation
        if event.provenance.step == DECISION:
            # That an instance was rejected, its command says.
            if isinstance(event, InstanceValidated):
                self.let_go.setdefault(digest, Verdict(generation, None, _rules_of(event)))
            return
        by_step = self.verdicts.setdefault(digest, {})
        known = by_step.get(event.provenance.step)
        if known is None or generation > known.generation:
            by_step[event.provenance.step] = (
                Verdict(generation, event.code)
                if isinstance(event, InstanceQuarantined)
                else Verdict(generation, None, _rules_of(event))
            )

    def _derived(self, event: InstanceDerived) -> None:
        self.derived_keys.update(copy.object.key for copy in event.representations)
        known = self.derivations.get(event.instance.digest)
        if known is None or event.provenance.generation > known.provenance.generation:
            self.derivations[event.instance.digest] = event


def _rules_of(event: InstanceValidated) -> tuple[str, ...]:
    # A name is one text, however many images break the rule.
    return tuple(sys.intern(finding.rule) for finding in event.findings)


def _blocks_of(event: HoldCommand | ReviewEvent | OrderCommand | MppsEvent) -> Iterator[str]:
    """Keys of the encrypted blocks that an event refers to."""
    match event:
        case HoldCommand(why=note) | ReviewEvent(note=ProtectedNote() as note):
            yield note.object.key
        case OrderCommand(block=block, steps=steps):
            yield from ([block.object.key] if block else [])
            yield from (step.block.object.key for step in steps)
        case MppsEvent(block=block):
            yield block.object.key


def _key(event: TierMoved, item: TierItem) -> str:
    return original_key(event.meta.tenant, event.study_uid, item.series_uid, item.sop_instance_uid, item.digest)
