"""OHIF's own files, at the root of the gateway: it was built to live there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.viewer.settings import script

# Paths that OHIF's own router knows; each is its page (OHIF 3.12, modes and routes).
PAGES = ("/", "/viewer", "/viewer/{rest:path}", "/segmentation", "/segmentation/{rest:path}", "/tmtv", "/microscopy")
# Names that change with their content.
_HASHED = re.compile(r"\.[0-9a-f]{16,}\.js$|^[0-9a-f]{20}\.(wasm|woff2)$")
_FOR_EVER, _ASK_AGAIN = "private, max-age=31536000, immutable", "no-cache"

# Its workers share memory only where no other origin has a part in the page; nobody else may show it in a frame.
# It compiles WebAssembly, starts workers from blobs, styles by script, and shows a PDF as an object of the page.
HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
        "worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self' data: blob:; frame-ancestors 'none'; object-src 'self'; "
        "base-uri 'self'; form-action 'self'"
    ),
}


class _Files(StaticFiles):
    """A folder's files, with headers that fit them."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        kept = _FOR_EVER if _HASHED.search(Path(full_path).name) else _ASK_AGAIN
        response.headers.update({**HEADERS, "cache-control": kept})
        return response


def routes(folder: Path, dicomweb: str) -> list[BaseRoute]:
    """`folder` is OHIF's `dist`, `dicomweb` the path of the service that it asks."""
    index, config = folder / "index.html", script(dicomweb)

    async def page(_: Request) -> Response:
        return FileResponse(index, headers={**HEADERS, "cache-control": _ASK_AGAIN})

    async def app_config(_: Request) -> Response:
        return Response(config, headers={**HEADERS, "cache-control": _ASK_AGAIN}, media_type="text/javascript")

    return [
        *(Route(path, page, methods=["GET"]) for path in PAGES),
        Route("/app-config.js", app_config, methods=["GET"]),
        # Whatever no other room of the gateway answers is a file of it, or nothing.
        Mount("/", _Files(directory=folder)),
    ]
