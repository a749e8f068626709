"""Capabilities of the DICOMweb service (PS3.18 section 8.9): as many resources and methods as there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from gateway.openapi.document import described
from streams.memory_log import MemoryLog
from tests.gateways import Client, running_gateway

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
WADL = "application/vnd.sun.wadl+xml"
PREFIX = "{http://wadl.dev.java.net/2009/02}"
ROOT = "/dicomweb"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running_gateway(NOWHERE, MemoryLog(), stow_url="http://127.0.0.1:1") as client:
        yield client


def options(client: Client, path: str, accept: str = WADL) -> Element:
    answer = client.options(client.root + path, headers={"accept": accept}, timeout=30)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, WADL)
    root = fromstring(answer.content)  # noqa: S314 - our own
    assert root.tag == f"{PREFIX}application"
    (resources,) = root
    assert resources.attrib == {"base": client.root}
    return resources


def methods(resource: Element, above: str = "") -> set[tuple[str, str]]:
    found = {(method.attrib["name"], above) for method in resource.findall(f"{PREFIX}method")}
    for child in resource.findall(f"{PREFIX}resource"):
        found |= methods(child, f"{above}/{child.attrib['path']}")
    return found


def test_the_service_tells_of_every_resource_and_method(client: Client) -> None:
    known = {
        (method.upper(), path.removeprefix(ROOT))
        for path, item in described(ROOT)["paths"].items()
        for method in item
        if path.startswith(f"{ROOT}/") and method in ("get", "post")
    }
    for path in ("", "/"):
        assert methods(options(client, path)) == known


def test_a_resource_tells_of_itself_and_what_is_below(client: Client) -> None:
    below = methods(options(client, "/studies/1.2.3/series/1.2.4"))
    series = "/studies/{study}/series/{series}"
    assert ("GET", series) in below
    assert ("GET", f"{series}/instances/{{instance}}/frames/{{frames}}") in below
    assert all(path == series or path.startswith(f"{series}/") for _, path in below)


def test_a_method_tells_what_it_takes_and_what_it_gives(client: Client) -> None:
    studies = next(one for one in options(client, "") if one.attrib["path"] == "studies")
    search = next(one for one in studies.findall(f"{PREFIX}method") if one.attrib["name"] == "GET")
    asked = search.findall(f"{PREFIX}request/{PREFIX}param")
    assert {"Accept", "limit", "offset", "includefield", "fuzzymatching"} <= {one.attrib["name"] for one in asked}
    kinds = [one.attrib["value"] for one in search.iter(f"{PREFIX}option")]
    assert kinds == ["application/dicom+json", "application/json", "multipart/related"]
    assert "406" in [one.attrib["status"] for one in search.findall(f"{PREFIX}response")]


def test_what_cannot_be_had_is_not_acceptable(client: Client) -> None:
    for path in ("", "/studies", "/studies/1.2.3/metadata"):
        assert client.options(client.root + path, headers={"accept": "text/html"}, timeout=30).status_code == 406
    assert client.get(client.root, timeout=30).status_code == 405
    assert client.options(f"{client.root}/nothing", timeout=30).status_code == 404


def test_it_is_the_same_beside_a_viewer_that_answers_for_every_path(tmp_path: Path) -> None:
    with running_gateway(NOWHERE, MemoryLog(), viewer=tmp_path) as client:
        answer = client.get(client.root, timeout=30)
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS")
        assert client.get(f"{client.root}/nothing", timeout=30).status_code == 404


def test_a_method_that_there_is_not_is_told_which_there_are(client: Client) -> None:
    answer = client.put(f"{client.root}/studies", timeout=30)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    study = client.delete(f"{client.root}/studies/1.2.3", timeout=30)
    assert (study.status_code, study.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
