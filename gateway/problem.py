"""What a client is told when there is no answer: a status, a short sentence, and nothing of what was asked for.

PS3.18 section 8.5 leaves the payload of a failure open; it is a JSON object here (RFC 9457), also for who wanted DICOM.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from gateway.reading import AllDamaged
from streams.objects import Damaged, StoreAway
from streams.step import Away
from streams.stop import Stop

MEDIA_TYPE = "application/problem+json"
_AGAIN_S = 2


class Problem(Exception):
    """`status` is HTTP's; `text` is for a person, and holds no value that was asked for."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers or {})


def response(problem: Problem) -> Response:
    body = msgspec.json.encode({"status": problem.status, "title": problem.text})
    # What is not here now, or may not be shown, may be in a moment.
    return Response(body, problem.status, {"cache-control": "no-store", **problem.headers}, MEDIA_TYPE)


async def on_problem(_: Request, error: Exception) -> Response:
    """What our own code refuses."""
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    return response(error)


async def on_http(request: Request, error: Exception) -> Response:
    """What Starlette refuses: paths and methods that there are not."""
    assert isinstance(error, HTTPException)  # noqa: S101
    texts = {404: "There is nothing under this path.", 405: "This resource has no such method."}
    status, headers = error.status_code, dict(error.headers or {})
    if status in texts and (methods := _methods(request)):
        # Also where the viewer was asked for it, which answers for every path and has no such file.
        status, headers["Allow"] = 405, ", ".join(methods)
    return response(Problem(status, texts.get(status, "The request cannot be answered."), headers))


def _methods(request: Request) -> list[str]:
    """Those of every route of this path, where it is none of them (RFC 9110 section 15.5.6)."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fit = [route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    return sorted({method for route in fit for method in route.methods or ()})


async def on_away(_: Request, error: Exception) -> Response:
    """A part of ours is away: the request was right, and may be made again."""
    part = "catalog" if isinstance(error, Away) else "object store"
    return response(Problem(503, f"The {part} does not answer; ask again.", {"retry-after": str(_AGAIN_S)}))


async def on_damaged(_: Request, __: Exception) -> Response:
    """Nothing wrong is shown. A scrub finds it too, and says what to do."""
    return response(Problem(502, "Every copy of it is damaged; the operator's log says which."))


async def on_gone(_: Request, __: Exception) -> Response:
    """The client went in the middle of its request: nobody hears this."""
    return response(Problem(400, "The request ended before its body did."))


async def on_one_damaged(_: Request, __: Exception) -> Response:
    """Found as it was read, too late to take another copy: that is left alone, and the next request reads another."""
    return response(Problem(503, "A copy of it is damaged, another is read next; ask again.", {"retry-after": "2"}))


async def on_stop(_: Request, error: Exception) -> Response:
    assert isinstance(error, Stop)  # noqa: S101
    structlog.get_logger().error("request_impossible", reason=error.reason)
    return response(Problem(503, "The catalog is not that of this version; the operator's log says what to do."))


async def on_unplanned(_: Request, error: Exception) -> Response:
    """Type and place go to the log, and nothing of it to the client."""
    structlog.get_logger().error("request_failed", exc_info=error)
    return response(Problem(500, "The request could not be answered; the operator's log says why."))


HANDLERS = {
    Problem: on_problem,
    HTTPException: on_http,
    Away: on_away,
    StoreAway: on_away,
    AllDamaged: on_damaged,
    Damaged: on_one_damaged,
    Stop: on_stop,
    ClientDisconnect: on_gone,
    Exception: on_unplanned,
}
