"""A router in this process, on a store and a log in memory, for tests that talk DICOM to it."""

from __future__ import annotations

import io
import secrets
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydicom import Dataset, dcmread

from producers.dicom_router.commitment.action import Commit
from producers.dicom_router.commitment.requests import Requests
from producers.dicom_router.commitment.telling import Telling
from producers.dicom_router.config import Settings
from producers.dicom_router.doors import Doors
from producers.dicom_router.lanes import Lanes
from producers.dicom_router.listening import Listener
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.spool.keeping import Keeping
from producers.dicom_router.trust.current import trust_of
from producers.dicom_router.upper_layer.command_set import N_ACTION_RQ
from radstream.items import Item
from radstream.sending import SendResult, send_items
from schemas import load_topics
from streams.clock import SystemClock
from streams.commitment_turns import Turns
from streams.events import AuditEvent, Event, InstanceReceived
from streams.health import Health
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import ObjectStore
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.peers.trust import Trust
from streams.protected import ProtectedBlocks
from streams.store_scu import Target
from streams.stored_file import stored_file
from streams.wire import SchemaIds, decode
from tests.router_archives import SITE, SOURCE, archive_on

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
TOPICS = ("imaging.instance.received", "imaging.audit.event", "imaging.commitment.request")


class RandomKeys:
    """Keys of protected blocks that live as long as the test."""

    def __init__(self) -> None:
        self._encryption, self._naming = secrets.token_bytes(64), secrets.token_bytes(32)

    def current(self) -> str:
        return "test"

    def encryption(self, key_id: str) -> bytes:
        return self._encryption

    def naming(self) -> bytes:
        return self._naming


def memory_log(partitions: int = 3) -> MemoryLog:
    log = MemoryLog()
    for topic in TOPICS:
        for physical in load_topics().physical(topic):
            log.create_topic(physical, partitions if topic == TOPICS[0] else 1)
    return log


class AdjustableClock(SystemClock):
    """The real time, plus what a test adds."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)


@dataclass
class Router:
    """`store` may be one that fails; `held` is what is behind it. `secured` is the port for TLS, where there is one."""

    target: Target
    secured: Target | None
    log: MemoryLog
    health: Health
    held: MemoryStore
    blocks: ProtectedBlocks
    receiver: Receiver
    keeping: Keeping
    clock: AdjustableClock
    trust: Trust
    refusals: Refusals
    doors: Doors

    def send(self, *items: Item, calling_ae: str = "SCANNER", retries: int = 0, associations: int = 1) -> SendResult:
        return send_items(items, self.target, associations=associations, calling_ae=calling_ae, retries=retries)

    def events(self, topic: str = TOPICS[0]) -> list[Event]:
        """In order of partition and offset."""
        found = []
        for number in range(self.log.partitions(topic)):
            partition = TopicPartition(topic, number)
            first, end = self.log.bounds([partition])[partition]
            found += [decode(record) for record in self.log.read(partition, first, end)]
        return found

    def received(self, topic: str = TOPICS[0]) -> list[InstanceReceived]:
        return [event for event in self.events(topic) if isinstance(event, InstanceReceived)]

    def audited(self) -> list[AuditEvent]:
        return [event for event in self.events(TOPICS[1]) if isinstance(event, AuditEvent)]

    def originals(self) -> list[str]:
        return [key for key, _ in self.held.keys("hot") if "/protected/" not in key]


@contextmanager
def running_router(
    store: ObjectStore | None = None, held: MemoryStore | None = None, **settings: object
) -> Iterator[Router]:
    """Listens on a free port of loopback until the block ends."""
    held = held or MemoryStore()
    log, clock = memory_log(), AdjustableClock()
    blocks = ProtectedBlocks(held, RandomKeys(), SITE.tenant)
    chosen = Settings(http_port=0, port=0, stop_timeout_s=0.5, **settings)
    health = Health(clock)
    trust = trust_of(chosen, health, clock)
    producer, ids = log.producer(), SchemaIds()
    lanes = Lanes(chosen.lanes, lambda: trust.peers.lanes if trust.peers else {})
    archive = archive_on(store or held, producer, blocks, clock, lanes, chosen.commit_timeout_s)
    health.ready("started", True)
    keeping = Keeping(archive, chosen.spool, health)
    receiver = Receiver(keeping, health, clock)
    refusals = Refusals(RefusalAudit(SITE, ids, clock, SOURCE).made, producer, clock)
    requests = Requests(SITE, producer, ids, clock, SOURCE, chosen.commit_timeout_s)
    telling = Telling(log, Turns(held, clock), clock)
    commit = {N_ACTION_RQ: Commit(requests, chosen.ae_title, telling, keeping.has_spooled)}
    listener = Listener(chosen, receiver, trust, refusals, clock, commit)
    doors = Doors(chosen, receiver.answer, refusals, clock, listener.room)
    listener.start()
    doors.start()
    secured = None if listener.tls_port is None else Target("RADSTREAM", "127.0.0.1", listener.tls_port)
    try:
        yield Router(
            target=Target("RADSTREAM", "127.0.0.1", listener.port),
            secured=secured,
            log=log,
            health=health,
            held=held,
            blocks=blocks,
            receiver=receiver,
            keeping=keeping,
            clock=clock,
            trust=trust,
            refusals=refusals,
            doors=doors,
        )
    finally:
        doors.stop()
        listener.stop()
        telling.stop()
        keeping.stop()


# Data sets, coded here: a test of a reader does not use a writer that makes the same mistakes.

_LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")


def explicit(tag: int, vr: bytes, value: bytes, order: str = "<") -> bytes:
    """One element in explicit VR."""
    value += (b"\0" if vr in (b"UI", b"OB") else b" ") * (len(value) % 2)
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in _LONG:
        return head + b"\0\0" + struct.pack(f"{order}I", len(value)) + value
    return head + struct.pack(f"{order}H", len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


@dataclass(frozen=True)
class Ct:
    """A small CT image; every part of it can be chosen."""

    study: str = "1.2.3"
    series: str = "1.2.3.4"
    instance: str = "1.2.3.4.5"
    sop_class: str = CT
    name: str = "Doe^Jane"
    pixels: bytes = b"\x01\x02" * 64
    more: Mapping[int, tuple[bytes, bytes]] = field(default_factory=dict)

    def elements(self) -> list[tuple[int, bytes, bytes]]:
        named = {
            0x00080016: (b"UI", self.sop_class.encode()),
            0x00080018: (b"UI", self.instance.encode()),
            0x00080060: (b"CS", b"CT"),
            0x00081030: (b"LO", b"Chest of a patient"),
            0x0008103E: (b"LO", b"Lung window"),
            0x00100010: (b"PN", self.name.encode()),
            0x00100020: (b"LO", b"MRN-4711"),
            0x0020000D: (b"UI", self.study.encode()),
            0x0020000E: (b"UI", self.series.encode()),
            0x00200013: (b"IS", b"7"),
            0x00280010: (b"US", struct.pack("<H", 8)),
            0x00280011: (b"US", struct.pack("<H", 8)),
            **self.more,
            0x7FE00010: (b"OW", self.pixels),
        }
        return [(tag, vr, value) for tag, (vr, value) in sorted(named.items())]

    def data_set(self) -> bytes:
        return b"".join(explicit(tag, vr, value) for tag, vr, value in self.elements())

    def implicit_data_set(self) -> bytes:
        return b"".join(implicit(tag, value) for tag, _, value in self.elements())

    def dataset(self) -> Dataset:
        """For pynetdicom's own sender."""
        return dcmread(io.BytesIO(stored_file(self.sop_class, self.instance, EXPLICIT, self.data_set())))

    def item(self, transfer_syntax: str = EXPLICIT) -> Item:
        data = self.implicit_data_set() if transfer_syntax == IMPLICIT else self.data_set()
        return Item("memory", self.sop_class, self.instance, transfer_syntax, lambda: data)
