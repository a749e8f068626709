"""`/openapi.json`: every route of the gateway is in it, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from starlette.routing import Route

from gateway.openapi.document import described
from streams.memory_log import MemoryLog
from tests.gateways import Client, running_gateway

ROOT = "/dicomweb"
# Nothing is asked of a catalog here.
NOWHERE = "postgresql://127.0.0.1:1/nowhere"


def told(client: Client) -> dict[str, Any]:
    answer = client.get(client.root.removesuffix(ROOT) + "/openapi.json", timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "put", "post", "delete", "patch", "options")
    }


@pytest.mark.parametrize("more", [{}, {"stow_url": "http://127.0.0.1:1"}])
def test_every_route_is_described_and_what_is_described_is_a_route(more: dict[str, str]) -> None:
    with running_gateway(NOWHERE, MemoryLog(), **more) as client:
        document = told(client)
    routes = {
        (method, re.sub(r":\w+}", "}", route.path))
        for route in client.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        # Each resource has its capabilities, which are told of by those of the service (PS3.18 annex H).
        if method != "OPTIONS" or route.path == ROOT
    }
    assert operations(document) == routes
    assert ("POST", f"{ROOT}/studies") in routes or not more


def test_nothing_is_described_that_no_gateway_has() -> None:
    with running_gateway(NOWHERE, MemoryLog(), stow_url="http://127.0.0.1:1") as client:
        assert operations(told(client)) == operations(described(ROOT))


def test_each_parameter_of_a_path_is_described_and_each_reference_leads_somewhere() -> None:
    document = described(ROOT)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place = document
        for name in reference.split("/"):
            place = place[name]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post"):
                said = [
                    document["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
                    for one in (*item.get("parameters", []), *operation.get("parameters", []))
                ]
                named = {one["name"] for one in said if one["in"] == "path"}
                assert named == set(re.findall(r"{(\w+)}", path)), (method, path)
                assert operation["responses"]
