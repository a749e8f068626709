"""Pictures that derive made: what a browser has of one is asked for anew when another one was made."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from gateway.dicomweb.rendering import Pictures
from gateway.dicomweb.served import Asked, Derived, Served
from gateway.kept import Kept
from gateway.reading import Blob, Reading
from gateway.workers import Workers
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests.images import CT
from tests.instance_events import EXPLICIT

UIDS = ("1.2.3", "1.2.3.4", "1.2.3.4.5")


def picture(grey: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (64, 64), grey).save(out, "JPEG")
    return out.getvalue()


class World:
    """An image of which derive made a thumbnail, and made another one since."""

    def __init__(self) -> None:
        self.store, workers = MemoryStore(), Workers(1)
        nobody = SimpleNamespace(record=lambda *_: None)
        parts: Any = SimpleNamespace(workers=workers, accesses=nobody)
        frames: Any = None
        reading = Reading(self.store, workers, Kept(1 << 20, None, 0), 1 << 20)
        self.pictures = Pictures(parts, self, reading, frames)
        self.original = self.blob(b"original")
        self.made: tuple[Derived, ...] = ()

    def blob(self, data: bytes) -> Blob:
        digest = hashlib.sha256(data).hexdigest()
        self.store.create(NewObject("t", "hot", digest, data))
        return Blob((ObjectRef(tenant="t", store="hot", key=digest, length=len(data), size=len(data), sha256=digest),))

    def derive(self, data: bytes) -> None:
        self.made = (Derived("thumbnail", "image/jpeg", None, 64, 64, self.blob(data), ()),)

    async def found(self, _: Asked) -> Sequence[Served]:
        return [Served(*UIDS, CT, EXPLICIT, 1, 1, 512, 512, self.original, self.made)]

    def asked(self, known: str | None = None) -> Response:
        headers = [(b"accept", b"image/jpeg")] + ([] if known is None else [(b"if-none-match", known.encode())])
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "path_params": dict(zip(("study", "series", "instance"), UIDS, strict=True)),
        }
        return asyncio.run(self.pictures.thumbnail(Request(scope)))


def test_what_was_made_anew_is_shown_to_who_has_the_older_one() -> None:
    """Before, he was told that nothing has changed."""
    world = World()
    world.derive(picture(10))
    first = world.asked()
    assert first.body == picture(10)
    assert world.asked(first.headers["etag"]).status_code == 304
    world.derive(picture(200))
    again = world.asked(first.headers["etag"])
    assert (again.status_code, again.body) == (200, picture(200))
    assert world.asked(again.headers["etag"]).status_code == 304
