"""The tables that events fill, and how rows with one key merge.

Rows travel as one JSON document for each table and batch, typed by the table itself, so a statement costs the same
round trip for one row and for two thousand. Every rule is commutative and idempotent: partitions are read in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from consumers.catalog.database import Cursor
from consumers.catalog.table import PUBLISHED, Row, Table, all_of, columns
from consumers.catalog.tables_of_assessment import STUDY_ASSESSMENTS, STUDY_FINDINGS
from consumers.catalog.tables_of_commitment import COMMITMENT_REPORTS, COMMITMENT_REQUESTS, COMMITMENT_RESULTS
from consumers.catalog.tables_of_forwarding import FORWARDS
from consumers.catalog.tables_of_imports import IMPORT_DECISIONS
from consumers.catalog.tables_of_inference import INFERENCE_FINDINGS, INFERENCE_OBJECTS, INFERENCES, REVIEWS
from consumers.catalog.tables_of_orders import MPPS_EVENTS, MPPS_SCHEDULED, ORDER_COMMANDS, SCHEDULED_STEPS
from consumers.catalog.tables_of_quarantine import QUARANTINE_COMMANDS
from consumers.catalog.text import document

# The times that something is known for widen. What is said of it, `identities` fills in.
_WIDER = (
    "DO UPDATE SET first_received_at = least(held.first_received_at, excluded.first_received_at), "
    "last_received_at = greatest(held.last_received_at, excluded.last_received_at) "
    "WHERE excluded.first_received_at < held.first_received_at OR excluded.last_received_at > held.last_received_at"
)
_TECHNICAL = columns(
    "modality body_part series_number instance_number rows columns frames samples_per_pixel bits_allocated bits_stored "
    "pixel_representation photometric"
)
_INSTANCE = columns(
    "event_id study_uid series_uid sop_class_uid transfer_syntax_uid site size lane received_at provenance "
    "study_identity series_block_id"
)
_PLACE = columns("store object_key version_id first_byte length size sha256 encryption")
_TIER = columns("seq move phase why source target serving objects size decided_for")
_ITEM = columns("seq series_uid sop_instance_uid size copies")
_TIMES = ("first_received_at", "last_received_at")

ARRIVALS = Table(
    "arrivals",
    ("topic_id", "partition", "record_offset"),
    columns(
        "topic_id partition record_offset tenant event_id digest lane protocol calling_ae called_ae association "
        "received_at"
    ),
)
BLOCKS = Table(
    "blocks",
    ("tenant", "study_uid", "series_uid", "block_id"),
    columns("tenant study_uid series_uid block_id store object_key state attributes"),
)
STUDY_IDENTITIES = Table(
    "study_identities",
    ("tenant", "study_uid", "identity"),
    columns(
        "tenant study_uid identity patient_key block_id block_state study_date study_time study_id accession_number "
        "description referring_physician outside outside_issuer issuer patient_id name birth_date sex spoken_by"
    ),
)
STUDIES = Table("studies", ("tenant", "study_uid"), ("tenant", "study_uid", *_TIMES), _WIDER)
SERIES = Table("series", ("tenant", "study_uid", "series_uid"), ("tenant", "study_uid", "series_uid", *_TIMES), _WIDER)
COPIES = Table("copies", ("tenant", "digest", "store", "object_key"), ("tenant", "digest", *_PLACE))
VERDICTS = Table(
    "verdicts",
    ("event_id",),
    columns(
        "event_id tenant digest study_uid verdict step generation code detail decided_at provenance candidate "
        "metadata_sha256"
    ),
    PUBLISHED,
)
FINDINGS = Table(
    "findings", ("event_id", "ordinal"), columns("event_id ordinal tenant digest rule severity tag section text")
)
DERIVATIONS = Table(
    "derivations",
    ("event_id",),
    columns("event_id tenant digest study_uid generation source_size notes derived_at provenance candidate"),
    PUBLISHED,
)
DERIVATIVES = Table(
    "derivatives",
    ("event_id", "ordinal"),
    (*columns("event_id ordinal tenant digest kind media_type transfer_syntax_uid rows columns frames"), *_PLACE),
)
REVISIONS = Table(
    "study_revisions",
    ("tenant", "study_uid", "revision"),
    columns(
        "tenant study_uid revision event_id instance_count set_digest manifest covers first_received_at "
        "last_received_at decided_at provenance removals"
    ),
)
AUDIT = Table(
    "audit",
    ("event_id",),
    columns("event_id tenant site subject actor action outcome reason attributes occurred_at"),
)
TIER_MOVES = Table(
    "tier_moves",
    ("tenant", "study_uid", "seq"),
    columns(
        "tenant study_uid seq event_id move phase why source target serving objects size holds covers decided_for "
        "last_access_at decided_at provenance"
    ),
)
STUDY_TIERS = Table(
    "study_tiers",
    ("tenant", "study_uid"),
    ("tenant", "study_uid", *_TIER),
    f"DO UPDATE SET {all_of(_TIER)} WHERE excluded.seq > held.seq",
)
# A seq that counts already is not filled up by a later record of it.
TIER_ITEMS = Table(
    "tier_items",
    ("tenant", "study_uid", "digest"),
    ("tenant", "study_uid", "digest", *_ITEM),
    f"DO UPDATE SET {all_of(_ITEM)} WHERE excluded.seq > held.seq",
    "NOT EXISTS (SELECT FROM study_tiers s "
    "WHERE s.tenant = coming.tenant AND s.study_uid = coming.study_uid AND s.seq >= coming.seq)",
)
HOLD_COMMANDS = Table(
    "hold_commands",
    ("tenant", "study_uid", "hold_id", "action"),
    columns("tenant study_uid hold_id action event_id actor why_block_id why_state why commanded_at"),
)
ACCESSES = Table("accesses", ("event_id",), columns("event_id tenant study_uid reader reads first_at last_at"))
GENERATIONS = Table(
    "generations",
    ("event_id",),
    columns("event_id tenant step number phase digest build config_digest models replay said_at"),
)
# Of several arrivals of one content the earliest fills the row.
INSTANCES = Table(
    "instances",
    ("tenant", "sop_instance_uid", "digest"),
    ("tenant", "sop_instance_uid", "digest", *_INSTANCE, *_TECHNICAL),
    f"DO UPDATE SET {all_of((*_INSTANCE, *_TECHNICAL))} "
    "WHERE (excluded.received_at, excluded.lane, excluded.study_identity) "
    "< (held.received_at, held.lane, held.study_identity)",
)

# In the order of writing: a study's findings before its assessment and items before its tier, which say what is new of
# them; instances last, so that cataloged_at is as near to the commit as can be.
TABLES = (
    ARRIVALS,
    BLOCKS,
    STUDY_IDENTITIES,
    STUDIES,
    SERIES,
    COPIES,
    VERDICTS,
    FINDINGS,
    DERIVATIONS,
    DERIVATIVES,
    REVISIONS,
    STUDY_FINDINGS,
    STUDY_ASSESSMENTS,
    AUDIT,
    GENERATIONS,
    TIER_MOVES,
    TIER_ITEMS,
    STUDY_TIERS,
    HOLD_COMMANDS,
    ACCESSES,
    FORWARDS,
    COMMITMENT_REQUESTS,
    COMMITMENT_RESULTS,
    COMMITMENT_REPORTS,
    IMPORT_DECISIONS,
    QUARANTINE_COMMANDS,
    INFERENCES,
    INFERENCE_FINDINGS,
    INFERENCE_OBJECTS,
    REVIEWS,
    ORDER_COMMANDS,
    SCHEDULED_STEPS,
    MPPS_EVENTS,
    MPPS_SCHEDULED,
    INSTANCES,
)


@dataclass
class Rows:
    """The rows of a batch, one for each table and key, merged by the same rules as the tables'."""

    by_table: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)

    def add(self, table: Table, row: Row) -> bool:
        """Keeps the first of several rows with one key; whether this is the first."""
        return self._of(table).setdefault(self._key(table, row), row) is row

    def prefer(self, table: Table, row: Row, rank: Any, best: Any) -> None:
        """Keeps the row whose `rank(row)` is the one that `best` (min or max) picks."""
        rows, key = self._of(table), self._key(table, row)
        held = rows.get(key)
        rows[key] = row if held is None else best(held, row, key=rank)

    def widen(self, table: Table, row: Row) -> None:
        """Keeps the widest times."""
        rows, key = self._of(table), self._key(table, row)
        held = rows.get(key, row)
        rows[key] = {
            **held,
            "first_received_at": min(held["first_received_at"], row["first_received_at"]),
            "last_received_at": max(held["last_received_at"], row["last_received_at"]),
        }

    def write(self, cursor: Cursor) -> None:
        for table in TABLES:
            if rows := self.by_table.get(table.name):
                # In the order of keys: two members that touch the same patients never wait for each other in a ring.
                ordered = [rows[key] for key in sorted(rows)]
                cursor.execute(table.insert, (document(ordered),))

    def _of(self, table: Table) -> dict[tuple[Any, ...], Row]:
        return self.by_table.setdefault(table.name, {})

    def _key(self, table: Table, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in table.key)
