"""Who did what to which subject, why and when: an event for every command that changes or reveals patient data."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence

from radstream.errors import Failure
from streams.auditing import STEP, Outcome, audit_event
from streams.clock import Clock, SystemClock
from streams.config import Site
from streams.events import AuditEvent
from streams.log import Log, LogAway, LogRefused
from streams.service import source_of
from streams.wire import SchemaIds, encode

_ACKNOWLEDGED_S_MAX = 30.0


def audit(
    log: Log,
    ids: SchemaIds,
    site: Site,
    *,
    action: str,
    subject: str,
    outcome: Outcome,
    reason: str = "",
    attributes: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> AuditEvent:
    """Writes one audit event and waits for its acknowledgement.

    `subject` is what it was done to: a UID, a digest, a command; `reason` and `attributes` hold no patient data.
    Raises Failure where the log does not take it: what cannot be audited is not done.
    """
    event = audit_event(
        site,
        clock or SystemClock(),
        actor=account(),
        action=action,
        subject=subject,
        outcome=outcome,
        reason=reason,
        attributes=attributes,
    )
    _write(log, ids, site, [event])
    return event


def audit_each(log: Log, ids: SchemaIds, site: Site, *, action: str, of: Mapping[str, Mapping[str, str]]) -> None:
    """As `audit`, of many subjects with the attributes of each, and one wait for all."""
    made = (
        audit_event(
            site,
            SystemClock(),
            actor=account(),
            action=action,
            subject=subject,
            outcome="success",
            attributes=attributes,
        )
        for subject, attributes in of.items()
    )
    _write(log, ids, site, list(made))


def _write(log: Log, ids: SchemaIds, site: Site, events: Sequence[AuditEvent]) -> None:
    producer = log.producer()
    try:
        sent = [producer.send(encode(event, ids, source=source_of(site, STEP))) for event in events]
        for future in sent:
            future.result(timeout=_ACKNOWLEDGED_S_MAX)
    except (LogAway, LogRefused, TimeoutError) as error:
        raise Failure(
            f"{events[0].action} was not done: the audit event could not be written ({type(error).__name__}); "
            "see whether the broker runs: radstream status"
        ) from None
    finally:
        producer.close(_ACKNOWLEDGED_S_MAX)


def account() -> str:
    """The operating system's name of whoever runs the command; the number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
