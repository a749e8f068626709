"""What tier moves, holds and reads say of where a study is kept, and why."""

from __future__ import annotations

from consumers.catalog.attributes import Described, Reader
from consumers.catalog.table import Row
from consumers.catalog.tables import ACCESSES, HOLD_COMMANDS, STUDY_TIERS, TIER_ITEMS, TIER_MOVES, Rows
from streams.events import AccessRead, HoldCommand, TierItem, TierMoved


def add_tiering(event: TierMoved | HoldCommand | AccessRead, reader: Reader, rows: Rows) -> None:
    """Raises as `Reader.read`."""
    match event:
        case TierMoved():
            _add_move(event, rows)
        case HoldCommand():
            _add_hold(event, reader.read(event.why), rows)
        case AccessRead():
            _add_access(event, rows)


def _add_move(event: TierMoved, rows: Rows) -> None:
    """Of several records with one (study, seq) the first counts, whatever the others say."""
    move = _move(event)
    if not rows.add(TIER_MOVES, move):
        return
    rows.prefer(STUDY_TIERS, {name: move[name] for name in STUDY_TIERS.columns}, _seq, max)
    for item in event.items:
        rows.prefer(TIER_ITEMS, _item(event, item), _seq, max)


def _move(event: TierMoved) -> Row:
    return {
        "tenant": event.meta.tenant,
        "study_uid": event.study_uid,
        "seq": event.seq,
        "event_id": event.meta.event_id,
        "move": event.move,
        "phase": event.phase,
        "why": event.why,
        "source": event.source,
        "target": event.target,
        "serving": event.serving,
        "objects": len(event.items),
        "size": sum(item.size for item in event.items),
        "holds": event.holds,
        "covers": event.covers,
        "decided_for": event.decided_for,
        "last_access_at": event.last_access_at,
        "decided_at": event.meta.occurred_at,
        "provenance": event.provenance,
    }


def _item(event: TierMoved, item: TierItem) -> Row:
    return {
        "tenant": event.meta.tenant,
        "study_uid": event.study_uid,
        "digest": item.digest,
        "seq": event.seq,
        "series_uid": item.series_uid,
        "sop_instance_uid": item.sop_instance_uid,
        "size": item.size,
        "copies": item.copies,
    }


def _seq(row: Row) -> int:
    return int(row["seq"])


def _add_hold(event: HoldCommand, why: Described, rows: Rows) -> None:
    rows.add(
        HOLD_COMMANDS,
        {
            "tenant": event.meta.tenant,
            "study_uid": event.study_uid,
            "hold_id": event.hold_id,
            "action": event.action,
            "event_id": event.meta.event_id,
            "actor": event.actor,
            "why_block_id": event.why.block_id,
            "why_state": why.state,
            "why": why.text("Note") if why.state == "open" else None,
            "commanded_at": event.meta.occurred_at,
        },
    )


def _add_access(event: AccessRead, rows: Rows) -> None:
    rows.add(
        ACCESSES,
        {
            "event_id": event.meta.event_id,
            "tenant": event.meta.tenant,
            "study_uid": event.study_uid,
            "reader": event.reader,
            "reads": event.reads,
            "first_at": event.first_at,
            "last_at": event.last_at,
        },
    )
