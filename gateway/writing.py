"""What the gateway writes into the log: audit events and what people say, each acknowledged before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.problem import Problem
from streams.auditing import STEP as AUDIT
from streams.auditing import audit_event
from streams.events import Event
from streams.lasting import LastingProducer
from streams.log import LogAway, LogRefused
from streams.service import Context, source_of
from streams.wire import encode

_ACKNOWLEDGED_S_MAX = 15.0
_AWAY = Problem(503, "The log does not take it, so it was not done; ask again.", {"retry-after": "2"})


class Writing:
    """One producer for all requests. Used in one event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._producer = LastingProducer(context.log.producer, context.clock)

    async def write(self, event: Event, step: str) -> None:
        """Returns when the log has it. Raises Problem: then it may be there or not."""
        message = encode(event, self._context.ids, source=source_of(self._context.site, step))
        try:
            sent = asyncio.wrap_future(self._producer.send(message))
            await asyncio.wait_for(sent, _ACKNOWLEDGED_S_MAX)
        except (LogAway, LogRefused, TimeoutError):
            raise _AWAY from None

    async def audited(self, actor: str, action: str, subject: str, attributes: Mapping[str, str]) -> None:
        """Before what it is about is done or shown: what cannot be audited is not. Raises Problem."""
        context = self._context
        event = audit_event(
            context.site,
            context.clock,
            actor=actor,
            action=action,
            subject=subject,
            outcome="success",
            attributes=attributes,
        )
        await self.write(event, AUDIT)

    def close(self) -> None:
        self._producer.close(_ACKNOWLEDGED_S_MAX)
