"""The application: every room's routes, behind one set of limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from gateway import dicomweb, live, openapi, pages, viewer
from gateway.answers import Answers
from gateway.counting import Counting
from gateway.limits import Limits
from gateway.not_online import on_not_online
from gateway.pacing import Pacing
from gateway.parts import Parts
from gateway.problem import HANDLERS
from gateway.reading import NotOnline
from streams.objects import Absent

DICOMWEB = "/dicomweb"
_TELL_S = 1.0


def application(parts: Parts) -> Starlette:
    """What is served, until its lifespan ends."""

    retrieved = dicomweb.room(parts, DICOMWEB)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await parts.catalog.open()
        behind = [asyncio.create_task(work) for work in (_tell(parts), retrieved.behind())]
        try:
            yield
        finally:
            for task in behind:
                task.cancel()
            await parts.catalog.close()

    told = on_not_online(parts)
    return Starlette(
        routes=_routes(parts, retrieved),
        middleware=[
            Middleware(Counting),
            Middleware(Answers),
            Middleware(Limits, settings=parts.settings),
            Middleware(Pacing),
        ],
        exception_handlers={**HANDLERS, NotOnline: told, Absent: told},
        lifespan=lifespan,
    )


async def _tell(parts: Parts) -> None:
    """Who read and who was shown lists becomes an event in its time, also while nobody asks for anything."""
    while True:
        await asyncio.sleep(_TELL_S)
        parts.accesses.flush_due()
        parts.listings.flush_due()


def _routes(parts: Parts, retrieved: dicomweb.Room) -> list[BaseRoute]:
    """The viewer comes last: it answers for every path that nobody else has."""
    folder = parts.settings.viewer
    described = [*retrieved.routes, *live.routes(parts), *pages.routes(parts)]
    return [
        *described,
        *openapi.routes(described, DICOMWEB),
        *(viewer.routes(folder, DICOMWEB) if folder is not None else ()),
    ]
