"""Encapsulated PDFs: as the viewer's page asks for them, and nothing else under a type that a browser opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.archives import PDF, pdf
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.gateways import Client, running_gateway

# Of an odd length, and longer than what stands in metadata itself.
DOCUMENT = b"%PDF-1.4\n" + b"% A report.\n" * 200 + b"%%EOF\n"
assert len(DOCUMENT) % 2
NAMED = "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1"
# As Chromium asks for what an object of a page is (Fetch Standard, section 2.2.2).
OBJECT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture
def opened(dsn: str) -> Callable[..., Any]:
    @contextmanager
    def running(**said: object) -> Iterator[tuple[Client, str]]:
        """And the address of an instance of which this is said."""
        hospital, log = Hospital(), new_log()
        one = pdf(hospital, DOCUMENT, **said)
        write(log, [one, hospital.validated(one)])
        projected(dsn, log, hospital)
        uids = one.instance
        with running_gateway(dsn, log, hospital.store) as client:
            path = f"/studies/{uids.study_uid}/series/{uids.series_uid}/instances/{uids.sop_instance_uid}"
            yield client, client.root + path

    return running


def got(address: str, accept: str = OBJECT) -> requests.Response:
    return requests.get(address, headers={"accept": accept}, timeout=120)


def test_a_pdf_is_had_as_what_it_is(opened: Callable[..., Any]) -> None:
    """Before, it was `application/octet-stream`, which nothing opens that may not guess, and no picture."""
    with opened(EncapsulatedDocumentLength=len(DOCUMENT)) as (client, address):
        (model,) = client.get(f"{address}/metadata", timeout=120).json()
        uri = model["00420011"]["BulkDataURI"]
        rendered = f"{address}/rendered"
        named = requests.get(uri, {"accept": PDF}, timeout=120)
        for answer in (named, got(uri, PDF), got(rendered), got(rendered, PDF)):
            assert (answer.status_code, answer.headers["content-type"]) == (200, PDF)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
            # Without the byte that makes its length even.
            assert answer.content == DOCUMENT
        whole = got(uri, "application/octet-stream")
        assert (whole.headers["content-type"], whole.content) == ("application/octet-stream", DOCUMENT + b"\0")
        assert whole.headers["etag"] != answer.headers["etag"]
        assert got(rendered, "image/jpeg").status_code == 406


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/octet-stream", "application/octet-stream"),
        (NAMED, NAMED),
        ("*/*", 'multipart/related; type="application/octet-stream"'),
        (PDF, PDF),
    ],
)
def test_head_says_of_a_value_the_type_that_get_has(opened: Callable[..., Any], accept: str, kind: str) -> None:
    with opened() as (_, address):
        uri = f"{address}/bulkdata/00420011"
        head, answer = requests.head(uri, headers={"accept": accept}, timeout=120), got(uri, accept)
    assert (head.status_code, head.headers["content-type"]) == (200, kind)
    assert answer.headers["content-type"].partition("; boundary")[0] == kind
    assert head.headers["etag"] == answer.headers["etag"]


def test_an_older_pdf_says_no_length_and_keeps_its_last_byte(opened: Callable[..., Any]) -> None:
    with opened() as (_, address):
        answer = got(f"{address}/bulkdata/00420011", PDF)
    assert (answer.headers["content-type"], answer.content) == (PDF, DOCUMENT + b"\0")


@pytest.mark.parametrize("said", ["text/html", "application/pdf;a=b", "image/svg+xml", ["application/pdf", "a"], None])
def test_nothing_else_goes_out_under_a_type_that_a_browser_opens(opened: Callable[..., Any], said: Any) -> None:
    with opened(MIMETypeOfEncapsulatedDocument=said) as (_, address):
        for accept in (PDF, "text/html", "image/svg+xml"):
            assert got(f"{address}/bulkdata/00420011", accept).status_code == 406
        plain = got(f"{address}/bulkdata/00420011", f"{PDF}, */*;q=0.1")
        assert plain.headers["content-type"].startswith('multipart/related; type="application/octet-stream"')
        assert got(f"{address}/rendered").status_code == 404
