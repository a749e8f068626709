"""One held instance, whole: why, from where, what is wrong beside, what people decided."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from consumers.catalog.quarantine import findings_of
from consumers.validate.reasons import reason_of, refusal
from radstream import quarantine_log
from radstream.commanding import notes_of
from radstream.errors import Failure
from radstream.quarantine_log import Held
from radstream.quarantine_origin import origin_of
from radstream.reading import audited, catalog_snapshot
from streams.config import Config
from streams.events import ObjectRef, ProtectedNote, QuarantineCommand, Source
from streams.log import Log
from streams.objects import Damaged, StoreAway
from streams.protected import Erased, ProtectedBlocks, Unopened
from streams.protected_keys import UnknownKey


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`why` is None where its `why_state` is not 'open'."""

    action: str
    actor: str
    at: datetime
    why: str | None
    why_state: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """`cannot_be_released` says why, or is None. `source` and `received_at` are None where the log has them no more."""

    held: Held
    series_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str | None
    reason: str
    todo: str
    cannot_be_released: str | None
    source: Source | None
    received_at: datetime | None
    object: ObjectRef
    findings: list[dict[str, Any]]
    history: list[Decision]


def shown(config: Config, log: Log, name: str) -> Shown:
    """Raises Failure, LogAway, LogRefused."""
    found = quarantine_log.read(log)
    event = found.named(name)
    digest, instance = event.instance.digest, event.instance
    decisions = found.decisions.get(digest, [])
    # Reasons are free text of people: each look at them is an event.
    audited(config, log, "quarantine_shown", digest, {"decisions": str(len(decisions))})
    blocks = notes_of(config)
    origin, reason = origin_of(log, event), reason_of(event.code)
    return Shown(
        held=found.held(digest),
        series_uid=instance.series_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        modality=origin.technical.modality if origin else None,
        reason=reason.text,
        todo=reason.todo,
        cannot_be_released=refusal(instance, event.code),
        source=origin.source if origin else None,
        received_at=origin.meta.occurred_at if origin else None,
        object=event.object,
        findings=_findings(config, event.meta.tenant, digest),
        history=[_decision(blocks, one) for one in decisions],
    )


def _findings(config: Config, tenant: str, digest: str) -> list[dict[str, Any]]:
    """What the catalog has of it: nothing before it flows, and nothing while the catalog is away."""
    with suppress(Failure), catalog_snapshot(config) as cursor:
        return findings_of(cursor, tenant, digest)
    return []


def _decision(blocks: ProtectedBlocks, command: QuarantineCommand) -> Decision:
    why, state = _opened(blocks, command.why)
    return Decision(action=command.action, actor=command.actor, at=command.meta.occurred_at, why=why, why_state=state)


def _opened(blocks: ProtectedBlocks, note: ProtectedNote) -> tuple[str | None, str]:
    try:
        found = blocks.read(note)
    except (Damaged, Unopened, UnknownKey, StoreAway):
        return None, "unreadable"
    if isinstance(found, Erased):
        return None, "erased"
    return str(found.get("Note", "")), "open"
