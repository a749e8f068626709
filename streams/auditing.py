"""The audit event: who did what to which subject, why and when."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Literal

from msgspec import structs

from schemas import Lane
from streams.clock import Clock
from streams.config import Site
from streams.events import AuditEvent
from streams.generation import meta_of_fact, of_facts

STEP = "audit"

Outcome = Literal["success", "refused", "failure"]


def audit_event(
    site: Site,
    clock: Clock,
    *,
    actor: str,
    action: str,
    subject: str,
    outcome: Outcome,
    reason: str = "",
    attributes: Mapping[str, str] | None = None,
    step: str = STEP,
    lane: Lane = "routine",
) -> AuditEvent:
    """`actor` is an account, an AE title or an address; `subject` what it was done to: a UID, a digest, a command.

    `reason` and `attributes` hold no patient data.
    """
    # Each is one of its own, whatever it is about.
    meta = meta_of_fact(site, clock, step, str(uuid.uuid4()), lane)
    return AuditEvent(
        meta=structs.replace(meta, subject=subject),
        provenance=of_facts(step).provenance(),
        actor=actor,
        action=action,
        outcome=outcome,
        reason=reason,
        attributes=dict(attributes or {}),
    )
