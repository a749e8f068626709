"""DICOMweb (PS3.18): search, metadata, frames, bulk data, rendered pictures.

Flows in: HTTP requests; what validate let pass, whose headers are read ahead. Flows out: DICOM JSON, DICOM,
codestreams, pictures; access events. Touches: the catalog, the object store, the frame cache.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from gateway.dicomweb import retrieving, searching, storing
from gateway.parts import Parts


@dataclass(frozen=True)
class Room:
    """`behind` is what goes on behind the requests, until it is cancelled."""

    routes: Sequence[BaseRoute]
    behind: Callable[[], Coroutine[Any, Any, None]]


def room(parts: Parts, root: str) -> Room:
    """`root` is the path of the service, without a slash at its end."""
    retrieved = retrieving.Retrieving(parts, root)
    routes = [*retrieving.routes(retrieved, root), *searching.routes(parts, root), *storing.routes(parts, root)]
    return Room(routes, retrieved.preparing.run)
