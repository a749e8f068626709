"""A worklist service in this process, on a log and a store in memory, for tests that talk DICOM to it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, evt
from pynetdicom.association import Association

from consumers.catalog.reading import Reads
from producers.worklist.__main__ import SECTION, SERVICES
from producers.worklist.config import Settings
from producers.worklist.finding import Finder
from producers.worklist.known_steps import KnownSteps
from producers.worklist.performing import Performing
from streams.clock import Clock, SystemClock
from streams.config import Site
from streams.dimse.door import Door, door_of
from streams.dimse.listening import Listener
from streams.events import AuditEvent, Event, MppsEvent
from streams.health import Health
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.scu import Entity
from streams.sop_classes import MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP
from streams.wire import SchemaIds, decode
from tests.event_streams import SITE, TENANT, Hospital

TODAY = date(2026, 11, 23)
NOWHERE = "host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=1"


@dataclass
class Worklist:
    host: str
    port: int
    log: MemoryLog
    hospital: Hospital
    door: Door
    performing: Performing
    health: Health
    tls_port: int | None = None

    def ask(self, calling_ae: str, tls: ssl.SSLContext | None = None, called_ae: str = "RADSTREAM") -> Association:
        """For an association, which may not be established."""
        # pynetdicom's own would leave open what the other side closed.
        entity = Entity(calling_ae)
        entity.add_requested_context(MODALITY_WORKLIST)
        options: dict[str, Any] = {} if tls is None else {"tls_args": (tls, "worklist.example")}
        port = self.port if tls is None else self.tls_port
        assert port is not None
        return entity.associate(self.host, port, ae_title=called_ae, **options)

    @contextmanager
    def association(self, calling_ae: str = "CT1") -> Iterator[Association]:
        entity = AE(ae_title=calling_ae)
        for service in (MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP):
            entity.add_requested_context(service)
        association = entity.associate(self.host, self.port, ae_title="RADSTREAM")
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def find(self, keys: Dataset) -> tuple[int, list[Dataset]]:
        """The last status, and the items before it."""
        with self.association() as association:
            answers = list(association.send_c_find(keys, MODALITY_WORKLIST))
        return int(answers[-1][0].Status), [item for status, item in answers if item is not None]

    def said(self) -> list[MppsEvent]:
        return [event for event in self._events("imaging.mpps.event") if isinstance(event, MppsEvent)]

    def audited(self) -> list[tuple[str, str, str]]:
        """Action, actor and why, of everybody who was refused so far."""
        self.door.close()
        found = [event for event in self._events("imaging.audit.event") if isinstance(event, AuditEvent)]
        return [(event.action, event.actor, event.attributes["why"]) for event in found]

    def _events(self, topic: str) -> list[Event]:
        found = []
        for number in range(self.log.partitions(topic)):
            partition = TopicPartition(topic, number)
            first, end = self.log.bounds([partition])[partition]
            found += [decode(record) for record in self.log.read(partition, first, end)]
        return found


@contextmanager
def running_worklist(
    log: MemoryLog, hospital: Hospital, dsn: str = NOWHERE, clock: Clock | None = None, **settings: Any
) -> Iterator[Worklist]:
    """Listens on a free port of loopback until the block ends."""
    chosen = Settings(http_port=0, port=0, dsn=dsn, stop_timeout_s=0.5, **settings)
    clock = clock or SystemClock()
    health = Health(clock)
    performing = Performing(
        site=Site(tenant=TENANT, site=SITE),
        producer=log.producer(),
        ids=SchemaIds(),
        blocks=hospital.blocks,
        steps=KnownSteps(log, clock),
        clock=clock,
        source="radstream/test/here/worklist",
        commit_timeout_s=chosen.commit_timeout_s,
        deciding=threading.Lock(),
    )
    with closing(Reads(chosen.dsn)) as reads:
        finder = Finder(reads, TENANT, chosen, lambda: TODAY)
        site = Site(tenant=TENANT, site=SITE)
        audit = RefusalAudit(site, SchemaIds(), clock, "radstream/test/here/worklist")
        refusals = Refusals(audit.made, log.producer(), clock)
        door = door_of("worklist", chosen, health, clock, refusals)
        listener = Listener(
            SECTION,
            chosen,
            door,
            SERVICES,
            [
                (evt.EVT_C_FIND, finder.on_c_find),
                (evt.EVT_N_CREATE, performing.on_n_create),
                (evt.EVT_N_SET, performing.on_n_set),
            ],
        )
        try:
            yield Worklist(chosen.host, listener.port, log, hospital, door, performing, health, listener.tls_port)
        finally:
            listener.stop()


def keys(step: dict[str, Any] | None = None, **top: Any) -> Dataset:
    """A query: keys of the scheduled procedure step, and those beside it."""
    made = Dataset()
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID"):
        setattr(made, keyword, None)
    item = Dataset()
    for keyword, value in {
        "Modality": None,
        "ScheduledStationAETitle": None,
        "ScheduledProcedureStepStartDate": None,
        "ScheduledProcedureStepStartTime": None,
        "ScheduledPerformingPhysicianName": None,
        "ScheduledProcedureStepID": None,
        **(step or {}),
    }.items():
        setattr(item, keyword, value)
    made.ScheduledProcedureStepSequence = Sequence([item])
    for keyword, value in top.items():
        setattr(made, keyword, value)
    return made
