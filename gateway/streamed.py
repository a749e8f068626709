"""Answers that go out in pieces, and end before their end where a part of ours does not give the rest."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Send

from gateway.problem import Problem
from gateway.reading import AllDamaged, NotOnline
from streams.objects import Absent, Damaged, StoreAway
from streams.step import Away
from streams.stop import Stop

_CUT: Final = (Problem, Away, StoreAway, NotOnline, AllDamaged, Absent, Damaged, Stop)


class Streamed(StreamingResponse):
    """The status has been sent when it breaks off. So nothing more is, and the server closes the connection: the client
    sees that it has not all of it, by the length or by the missing last chunk (RFC 9112 section 8)."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except _CUT as error:
            structlog.get_logger().warning("answer_cut", kind=type(error).__name__)
