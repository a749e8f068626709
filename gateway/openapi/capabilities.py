"""The capabilities of the service as WADL (PS3.18 section 8.9, annex H): what the OpenAPI document says, once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.dicomweb.accepting import Offer, accepted, chosen
from gateway.problem import Problem

WADL: Final = "application/vnd.sun.wadl+xml"
_NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"
_METHODS: Final = ("get", "post")
_OFFERS: Final = [Offer(kind, is_default=kind == WADL, parts=False) for kind in (WADL, "application/xml", "text/xml")]

Document = Mapping[str, Any]

register_namespace("", _NAMESPACE)


def routes(others: Iterable[BaseRoute], document: Document, root: str) -> list[BaseRoute]:
    """OPTIONS of the service, and of each of its resources: of that alone and what is below it."""
    paths = dict.fromkeys(one.path for one in others if isinstance(one, Route) and one.path.startswith(f"{root}/"))
    return [
        *(Route(path, _told(document, root, ""), methods=["OPTIONS"]) for path in (root, f"{root}/")),
        *(Route(path, _told(document, root, path.removeprefix(f"{root}/")), methods=["OPTIONS"]) for path in paths),
    ]


def _told(document: Document, root: str, resource: str) -> Callable[[Request], Awaitable[Response]]:
    wanted = resource.replace(":path}", "}") + "/" if resource else ""

    async def told(request: Request) -> Response:
        choice = chosen(accepted(request), _OFFERS)
        if choice is None:
            raise Problem(406, f"Capabilities are {WADL}.")
        base = str(request.base_url).rstrip("/") + root
        body = described(document, root, wanted, base)
        return Response(body, media_type=choice.offer.media_type, headers={"vary": "accept"})

    return told


def described(document: Document, root: str, wanted: str, base: str) -> bytes:
    """WADL of a resource and its children; `base` is the address of the service.

    `wanted` is the path of the resource below `root`, with a slash at its end, or empty for the service.
    """
    application = Element(_name("application"))
    resources = SubElement(application, _name("resources"), base=base)
    places = {"": resources}
    for path, item in document["paths"].items():
        below = path.removeprefix(f"{root}/")
        if below == path or not f"{below}/".startswith(wanted):
            continue
        resource = _resource(places, below, wanted.strip("/"))
        for method in _METHODS:
            if method in item:
                _method(document, resource, method, item)
    body: bytes = tostring(application, encoding="utf-8", xml_declaration=True)
    return body


def _resource(places: dict[str, Element], path: str, wanted: str) -> Element:
    """One within the other, a word of the path each; the first has all words of what was asked for."""
    if path in places:
        return places[path]
    above, _, word = ("", "", path) if path == wanted else path.rpartition("/")
    places[path] = resource = SubElement(_resource(places, above, wanted), _name("resource"), path=word)
    for name in word.split("/"):
        if name.startswith("{"):
            SubElement(resource, _name("param"), name=name.strip("{}"), style="template", required="true")
    return resource


def _method(document: Document, resource: Element, method: str, item: Document) -> None:
    operation = item[method]
    answers = {status: _found(document, one) for status, one in operation["responses"].items()}
    told = SubElement(resource, _name("method"), name=method.upper(), id=operation["operationId"])
    request = SubElement(told, _name("request"))
    kinds = dict.fromkeys(kind for status, one in answers.items() if status == "200" for kind in one.get("content", {}))
    if kinds:
        accept = SubElement(request, _name("param"), name="Accept", style="header", default=next(iter(kinds)))
        for kind in kinds:
            SubElement(accept, _name("option"), value=kind)
    for one in (*item.get("parameters", ()), *operation.get("parameters", ())):
        parameter = _found(document, one)
        if parameter["in"] in ("query", "header"):
            SubElement(request, _name("param"), name=parameter["name"], style=parameter["in"])
    for kind in operation.get("requestBody", {}).get("content", {}):
        SubElement(request, _name("representation"), mediaType=kind)
    for status, one in answers.items():
        response = SubElement(told, _name("response"), status=status)
        for kind in one.get("content", {}):
            SubElement(response, _name("representation"), mediaType=kind)


def _found(document: Document, one: Document) -> Document:
    """What a reference leads to (OAS 3.1, Reference Object)."""
    while "$ref" in one:
        place: Any = document
        for name in one["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        one = place
    return one


def _name(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"
