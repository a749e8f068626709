"""What of a study lies in an archive: how its restore stands, and the form that asks for one."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final

import msgspec
from starlette.requests import Request

from consumers.catalog import restores
from consumers.catalog.database import Cursor
from gateway import same_origin
from gateway.parts import Parts

# How long the page that follows waits for the catalog; it is told by an event when it comes later.
_SHOWN_S_MAX: Final = 3.0
_POLL_S: Final = 0.1


class Archived(msgspec.Struct, frozen=True):
    """`instances` cannot be read before they are restored. `expected_at` while they are; `failed_at` the last time it
    was tried in vain."""

    instances: int
    expected_at: datetime | None
    failed_at: datetime | None


def archived(cursor: Cursor, parts: Parts, study_uid: str) -> Archived | None:
    """None where all of the study can be read."""
    tenant = parts.tenant
    instances = restores.archived(cursor, tenant, study_uid, parts.context.store.archived)
    if not instances:
        return None
    last = restores.newest(cursor, tenant, study_uid)
    if last is None or not (last.is_under_way or last.has_failed):
        return Archived(instances, None, None)
    if last.has_failed:
        return Archived(instances, None, last.decided_at)
    takes = timedelta(seconds=restores.expected_s(cursor, tenant, parts.restoring.thought_s))
    return Archived(instances, last.planned_at + takes, None)


async def restore(parts: Parts, request: Request, study_uid: str, client: str) -> None:
    """Asks for it, and waits for the catalog to know. Raises Problem, Away."""
    same_origin.check(request)
    expected = await parts.asking.ask(study_uid, client)
    until_s = time.monotonic() + _SHOWN_S_MAX
    while expected is not None and time.monotonic() < until_s:
        if await parts.workers.run(lambda: _is_known(parts, study_uid)):
            return
        await asyncio.sleep(_POLL_S)


def _is_known(parts: Parts, study_uid: str) -> bool:
    with parts.reads.snapshot() as cursor:
        found = archived(cursor, parts, study_uid)
    return found is None or found.expected_at is not None
