"""Query and retrieve as others ask for it, with pynetdicom; and a service of it in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from consumers.catalog.reading import Reads
from gateway.dimse.__main__ import SECTION, SERVICES, handlers
from gateway.dimse.config import Settings
from gateway.dimse.finding import Finder
from gateway.dimse.models import SOP_CLASSES
from gateway.dimse.reading import Budget, Reading
from gateway.dimse.retrieving import Retriever
from gateway.dimse.telling import Told
from gateway.restoring import Restoring
from streams.clock import SystemClock
from streams.config import Site
from streams.dimse.door import Door, door_of
from streams.dimse.listening import Listener
from streams.health import Health
from streams.log import Log
from streams.objects import ObjectStore
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.scu import Entity
from streams.wire import SchemaIds
from tests.gateways import RESTORE_S
from tests.nodes import no_tls
from tests.worlds import context_of

PATIENT_FIND, PATIENT_MOVE, PATIENT_GET, STUDY_FIND, STUDY_MOVE, STUDY_GET = SOP_CLASSES


@dataclass
class Client:
    """Asks a service on loopback."""

    port: int
    ae_title: str = "VIEWER"
    # From where.
    address: str = "127.0.0.1"
    # Of a service in this process: whether a C-CANCEL is there that nobody has obeyed yet.
    is_cancelled: Callable[[], bool] = lambda: False
    # Of a service in this process.
    door: Door | None = None

    @contextmanager
    def association(
        self, sop_classes: Sequence[str], extended: bytes = b"", stored: Sequence[tuple[str, str]] = (), **handlers: Any
    ) -> Iterator[Association]:
        """`extended` is proposed for each of `sop_classes`; `stored` are SOP classes and transfer syntaxes of C-GET."""
        entity = Entity(self.ae_title)
        for uid in sop_classes:
            entity.add_requested_context(uid)
        for uid, syntax in stored:
            entity.add_requested_context(uid, [syntax])
        more: list[Any] = [build_role(uid, scp_role=True) for uid in dict.fromkeys(uid for uid, _ in stored)]
        for uid in sop_classes if extended else ():
            item: Any = SOPClassExtendedNegotiation()
            item.sop_class_uid, item.service_class_application_information = uid, extended
            more.append(item)
        bound: list[evt.EventHandlerType] = [(getattr(evt, name), handler) for name, handler in handlers.items()]
        association = entity.associate(
            "127.0.0.1",
            self.port,
            ae_title="RADSTREAM",
            bind_address=(self.address, 0),
            ext_neg=more or None,
            evt_handlers=bound,
        )
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def find(self, asked: Dataset, sop_class: str = STUDY_FIND, extended: bytes = b"") -> tuple[int, list[Dataset]]:
        """The last status, and the matches before it."""
        with self.association([sop_class], extended) as association:
            answers = list(association.send_c_find(asked, sop_class))
        return int(answers[-1][0].Status), [
            item for status, item in answers if int(status.Status) >> 8 == 0xFF and item
        ]

    def move(self, asked: Dataset, to: str, sop_class: str = STUDY_MOVE) -> list[tuple[Dataset, Dataset | None]]:
        with self.association([sop_class]) as association:
            return list(association.send_c_move(asked, to, sop_class))

    def get(
        self, asked: Dataset, stored: Sequence[tuple[str, str]], sop_class: str = STUDY_GET
    ) -> tuple[Dataset, list[tuple[str, bytes]]]:
        """The last response; and each instance: its transfer syntax, and its data set as it came."""
        got: list[tuple[str, bytes]] = []

        def keep(event: Any) -> int:
            got.append((str(event.context.transfer_syntax), event.request.DataSet.getvalue()))
            return 0x0000

        with self.association([sop_class], stored=stored, EVT_C_STORE=keep) as association:
            answers = list(association.send_c_get(asked, sop_class))
        return answers[-1][0], got


def keys(level: str, **said: Any) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = level
    for keyword, value in said.items():
        setattr(made, keyword, value)
    return made


@contextmanager
def running_retrieve(
    dsn: str, store: ObjectStore, log: Log, site: Site, nodes: Path = Path("none.toml"), **settings: Any
) -> Iterator[Client]:
    """Listens on a free port of loopback until the block ends."""
    chosen = Settings(http_port=0, port=0, dsn=dsn, **{"stop_timeout_s": 0.5, **settings})
    clock = SystemClock()
    told = Told(log, SchemaIds(), site, clock, "radstream/test/here/retrieve")
    context = context_of(SECTION, site.tenant, log, store, clock)
    with (
        closing(told),
        closing(Reads(chosen.dsn)) as reads,
        closing(Restoring(context, reads, RESTORE_S)) as restoring,
    ):
        finder = Finder(reads, site.tenant, chosen, told)
        reading = Reading(store, chosen.limits, Budget(chosen.memory_bytes_max, chosen.answer_timeout_s))
        retriever = Retriever(reads, site.tenant, chosen, reading, told, nodes, no_tls(), restoring)
        audit = RefusalAudit(site, SchemaIds(), clock, "radstream/test/here/retrieve")
        refusals = Refusals(audit.made, log.producer(), clock)
        door = door_of(SECTION, chosen, Health(clock), clock, refusals)
        listener = Listener(SECTION, chosen, door, SERVICES, handlers(finder), retriever.serve)
        try:
            yield Client(
                listener.port,
                is_cancelled=lambda: any(one.dimse.cancel_req for one in listener._associations()),
                door=door,
            )
        finally:
            listener.stop()
