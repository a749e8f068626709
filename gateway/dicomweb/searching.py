"""QIDO-RS (PS3.18 section 10.6): which studies, series and instances there are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.dicomweb.accepting import accepted, chosen
from gateway.dicomweb.models import JSON, MODELS
from gateway.dicomweb.multipart import Part, in_turn, of_bytes, response
from gateway.dicomweb.searching_attributes import Level
from gateway.dicomweb.searching_changes import changed
from gateway.dicomweb.searching_places import Places
from gateway.dicomweb.searching_query import Query, parsed, returned, unsupported
from gateway.dicomweb.searching_results import Result, columns, result
from gateway.dicomweb.searching_sql import Scope, Search, names_studies
from gateway.parts import Parts
from gateway.problem import Problem
from streams.xml_model import XML, native

# Further results are counted, not skipped: up to here, and beyond it is said that there are more.
_REST_MAX: Final = 1000
_LISTED: Final = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
# What the standard has servers say that do not have these (PS3.18 sections 8.3.4.5 and 8.3.4.6).
_NOT_SUPPORTED: Final = {
    "emptyvaluematching": "Empty Value Matching",
    "multiplevaluematching": "Multiple Value Matching",
}
_UID: Final = re.compile(r"[0-9.]{1,64}\Z")
_HOST: Final = re.compile(r"[\w.:\[\]-]{1,255}\Z", re.ASCII)


def routes(parts: Parts, root: str) -> list[BaseRoute]:
    places = Places()

    def search(level: Level) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            return await _search(parts, places, level, request, root)

        return answered

    return [
        Route(f"{root}{path}", search(level))
        for path, level in (
            ("/studies", Level.STUDY),
            ("/series", Level.SERIES),
            ("/instances", Level.INSTANCE),
            ("/studies/{study}/series", Level.SERIES),
            ("/studies/{study}/instances", Level.INSTANCE),
            ("/studies/{study}/series/{series}/instances", Level.INSTANCE),
        )
    ]


async def _search(parts: Parts, places: Places, level: Level, request: Request, root: str) -> Response:
    """Raises Problem."""
    query = parsed(request.scope["query_string"])
    choice = chosen(accepted(request), MODELS)
    if choice is None:
        raise Problem(406, f"A search is answered in {JSON}, or in parts of {XML}; accept one of them.")
    media_type = choice.offer.media_type
    scope = Scope(level, _uid(request, "study"), _uid(request, "series"))
    search = Search(parts.tenant, scope, query)
    limit = min(parts.settings.page_max, query.limit if query.limit is not None else parts.settings.page_max)
    keywords = returned(query, level, _lowest(scope))
    asked = columns(level, keywords, named=names_studies(scope, query))
    warnings = _not_done(query, level)
    place = places.place((scope, query), query.offset)
    if place.skip > (skipped_max := parts.settings.skipped_max):
        raise Problem(400, f"The offset skips more than {skipped_max} results; narrow the search, or page through it.")
    async with parts.catalog.snapshot() as cursor:
        changes = await changed(cursor, parts.tenant, scope, query)
        # Plans are made for the values that are asked for: one for all of them is right for none.
        page = search.page(["s.study_at::text", *asked], changes.now, limit + 1, place.skip, place.after)
        rows = await (await cursor.execute(*page, prepare=False)).fetchall() if limit else []
        more = 0
        if len(rows) > limit:
            rows = rows[:limit]
            rest = search.rest(changes.now, place.skip + limit, place.after, _REST_MAX + 1)
            ((more,),) = await (await cursor.execute(*rest, prepare=False)).fetchall()
    if rows and level is Level.STUDY:
        places.remember((scope, query), query.offset + len(rows), (rows[-1][0], rows[-1][1]))
    if changes.left_out:
        warnings.append("Some studies have changed just now and are not listed yet")
    if more:
        count = f"more than {_REST_MAX}" if more > _REST_MAX else more
        warnings.append(f"There are {count} additional results that can be requested")
    if request.method == "GET":
        parts.listings.record(request.client.host if request.client else "", _LISTED[level], len(rows))
    service = _service(request, root)
    if not rows:
        return _warned(Response(status_code=204), service, warnings)
    found = await parts.workers.run(lambda: _results(rows, asked, level, keywords, service))
    if media_type == XML:
        each = [Part(XML, of_bytes(data), len(data)) for data in await parts.workers.run(lambda: [*map(native, found)])]
        return _warned(response(in_turn(each), XML, {}), service, warnings)
    return _warned(Response(msgspec.json.encode(found), media_type=media_type), service, warnings)


def _results(
    rows: Sequence[Sequence[Any]], asked: Sequence[str], level: Level, keywords: frozenset[str], root: str
) -> list[Result]:
    return [result(dict(zip(asked, row[1:], strict=True)), level, keywords, root) for row in rows]


def _uid(request: Request, name: str) -> str | None:
    uid: str | None = request.path_params.get(name)
    if uid is not None and not _UID.match(uid):
        raise Problem(400, f"The {name} in the path is no UID.")
    return uid


def _lowest(scope: Scope) -> Level:
    """What stands in the path is known to who asks; what does not is returned (PS3.18 section 10.6.3.3)."""
    if scope.series_uid is not None:
        return Level.INSTANCE
    return Level.STUDY if scope.study_uid is None else Level.SERIES


def _not_done(query: Query, level: Level) -> list[str]:
    warnings = []
    if names := unsupported(query, level):
        warnings.append(f"These attributes are not matched here: {', '.join(sorted(names))}")
    warnings += [
        f"The {name} parameter is not supported. {what} has not been performed"
        for name, what in _NOT_SUPPORTED.items()
        if name in query.unsupported
    ]
    if query.ignored:
        warnings.append("Parameters that a search does not have are ignored")
    return warnings


def _service(request: Request, root: str) -> str:
    """The address of the service, as the client has it."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}{root}" if _HOST.match(host) else root


def _warned(response: Response, service: str, warnings: Sequence[str]) -> Response:
    # Names, and of this moment: neither a disk nor the way back to a page is to have them.
    response.headers.update({"cache-control": "no-store", "vary": "accept"})
    for text in warnings:
        response.headers.append("warning", f"299 {service}: {text}")
    return response
