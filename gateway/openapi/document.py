"""The files of the rooms as one document, without what this gateway does not answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from importlib.metadata import version
from typing import Any, Final

import msgspec
import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.openapi import capabilities

PATH: Final = "/openapi.json"
_ABOUT: Final = "DICOMweb (PS3.18), pages and events of an archive. Nobody signs in: it answers named addresses alone."
_METHODS: Final = ("get", "post", "options")
# Path parameters of Starlette say what they take: {path:path}.
_TAKEN: Final = re.compile(r":[a-z]+\}")

Document = dict[str, Any]


def routes(others: Iterable[BaseRoute], root: str) -> list[BaseRoute]:
    """`others` are what is described beside this; `root` is the path of DICOMweb."""
    own: list[BaseRoute] = []

    async def told(_: Request) -> Response:
        return Response(body, media_type="application/json", headers={"cache-control": "no-cache"})

    own.append(Route(PATH, told, methods=["GET"]))
    answered = [*others, *own]
    able = capabilities.routes(answered, document(answered, root), root)
    body = msgspec.json.encode(document([*answered, *able], root))
    return [*own, *able]


def document(answered: Iterable[BaseRoute], root: str) -> Document:
    """What of the files is among these routes (OAS 3.1)."""
    methods: dict[str, set[str]] = {}
    for route in answered:
        if isinstance(route, Route):
            methods.setdefault(_TAKEN.sub("}", route.path), set()).update(route.methods or ())
    told = described(root)
    paths = {
        path: {key: value for key, value in item.items() if key not in _METHODS or key.upper() in methods[path]}
        for path, item in told["paths"].items()
        if path in methods
    }
    return told | {"paths": paths}


def described(root: str) -> Document:
    """All that the files have."""
    paths: dict[str, Document] = {}
    components: dict[str, Document] = {}
    for name, above in (("retrieve.yaml", root), ("search.json", ""), ("other.yaml", "")):
        # JSON is YAML.
        found = yaml.safe_load((resources.files(__package__) / name).read_text(encoding="utf-8"))
        for path, item in found["paths"].items():
            paths.setdefault(above + path, {}).update(item)
        for kind, named in found.get("components", {}).items():
            components.setdefault(kind, {}).update(named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "radstream gateway", "version": version("radstream"), "description": _ABOUT},
        "paths": dict(sorted(paths.items())),
        "components": components,
    }
