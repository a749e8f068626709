"""What is archived is asked for when a reader wants it, and the reader is told when it may be expected.

Flows out: a restore command and an audit event for each study that is asked for. Tiering decides and does the rest.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from consumers.catalog import restores
from consumers.catalog.reading import Reads
from streams.auditing import STEP as AUDIT
from streams.auditing import audit_event
from streams.events import Event
from streams.lasting import LastingProducer
from streams.restoring import STEP, restore_of
from streams.service import Context, source_of
from streams.wire import encode

# Who comes within this time starts nothing: the command is on its way into the catalog.
_ASKED_S: Final = 60.0
_REMEMBERED_MAX: Final = 10_000
# A restore that failed is not tried again for readers before this time; a person at a terminal need not wait.
_FAILED_FOR: Final = timedelta(minutes=10)
# Who comes before the log has taken the command asks again after this.
_SOON_S: Final = 5
# A restore that takes longer than expected is asked after so often.
_OVERDUE_S: Final = 10
_ACKNOWLEDGED_S_MAX: Final = 15.0


class RestoreFailed(Exception):
    """The last restore failed, and it is too soon to try again."""

    def __init__(self, again_s: int) -> None:
        super().__init__("the last restore failed")
        self.again_s = again_s


@dataclass(frozen=True)
class Expected:
    """When a study that is being restored is thought to be there; `again_s` is when to ask again (seconds, from 1)."""

    at: datetime
    again_s: int


@dataclass
class _Asked:
    """`is_written` once the log has acknowledged the command."""

    at: datetime
    at_s: float
    is_written: bool = False


class Restoring:
    """Safe for many threads. `thought_s` is how long a restore takes as long as none has been measured."""

    def __init__(self, context: Context, reads: Reads, thought_s: float) -> None:
        self._context, self._reads, self.thought_s = context, reads, thought_s
        self._producer = LastingProducer(context.log.producer, context.clock)
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    def ask(self, study_uid: str, actor: str, sop_instance_uid: str | None = None) -> Expected | None:
        """Sees to it that a restore of a study is under way; None where no archived store has what is missing.

        `sop_instance_uid` is what is missing where it is one instance: its study comes with it.

        Returns when the log has the command. Raises RestoreFailed, LogAway, LogRefused, TimeoutError, Away.
        """
        tenant, now = self._context.site.tenant, self._context.clock.now()
        with self._reads.snapshot() as cursor:
            if not restores.archived(cursor, tenant, study_uid, self._context.store.archived, sop_instance_uid):
                return None
            last = restores.newest(cursor, tenant, study_uid)
            takes = timedelta(seconds=restores.expected_s(cursor, tenant, self.thought_s))
        if last is not None and last.is_under_way:
            return _expected(last.planned_at + takes, now)
        if last is not None and last.has_failed and now < last.decided_at + _FAILED_FOR:
            raise RestoreFailed(math.ceil((last.decided_at + _FAILED_FOR - now).total_seconds()))
        asked, is_first = self._remember(study_uid, now)
        if is_first:
            try:
                self._command(study_uid, actor)
            except BaseException:
                self._forget(study_uid)
                raise
            asked.is_written = True
        # Who cannot know yet whether the log takes it asks again soon.
        return _expected(asked.at + takes, now) if asked.is_written else Expected(asked.at + takes, _SOON_S)

    def close(self) -> None:
        self._producer.close(_ACKNOWLEDGED_S_MAX)

    def _remember(self, study_uid: str, now: datetime) -> tuple[_Asked, bool]:
        """Who asked for it a moment ago, and whether that is whoever asks now."""
        with self._lock:
            known = self._asked.get(study_uid)
            if known is not None and time.monotonic() - known.at_s < _ASKED_S:
                return known, False
            asked = self._asked[study_uid] = _Asked(now, time.monotonic())
            self._asked.move_to_end(study_uid)
            while len(self._asked) > _REMEMBERED_MAX:
                self._asked.popitem(last=False)
            return asked, True

    def _forget(self, study_uid: str) -> None:
        with self._lock:
            self._asked.pop(study_uid, None)

    def _command(self, study_uid: str, actor: str) -> None:
        """Who asked is in the log before what he asked for is."""
        context = self._context
        said = {"how": context.name}
        audit = audit_event(
            context.site,
            context.clock,
            actor=actor,
            action="restore_asked",
            subject=study_uid,
            outcome="success",
            attributes=said,
        )
        command = restore_of(context.site, context.clock, study_uid, actor)
        self._write(audit, AUDIT)
        self._write(command, STEP)
        structlog.get_logger().info("restore_asked", command=command.meta.event_id)

    def _write(self, event: Event, step: str) -> None:
        message = encode(event, self._context.ids, source=source_of(self._context.site, step))
        self._producer.send(message).result(timeout=_ACKNOWLEDGED_S_MAX)


def _expected(at: datetime, now: datetime) -> Expected:
    left_s = math.ceil((at - now).total_seconds())
    return Expected(at, left_s) if left_s > 0 else Expected(now + timedelta(seconds=_OVERDUE_S), _OVERDUE_S)
