"""A report that is a PDF, opened in the viewer: OHIF asks for it as an object of its page."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from playwright.sync_api import Browser

from consumers.catalog.migrate import migrate
from gateway.app import DICOMWEB
from infra.local.tools import viewer
from tests.archives import pdf
from tests.browser.conftest import DEADLINE_MS
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.gateways import running_gateway
from tests.postgres import run_postgres
from tests.waiting import wait_until


def test_the_browser_shows_a_pdf_in_the_viewers_page(browser: Browser) -> None:
    """Before, the page forbade objects, and nothing answered with a PDF; nor did one count that is not isolated too."""
    if not viewer.is_there():
        pytest.skip("OHIF is absent (`radstream up` says why): the viewer is not opened")
    made = io.BytesIO()
    Image.new("RGB", (600, 800), "red").save(made, "PDF")
    document = made.getvalue()
    hospital, log = Hospital(), new_log()
    one = pdf(hospital, document, EncapsulatedDocumentLength=len(document), SeriesNumber=1, InstanceNumber=1)
    write(log, [one, hospital.validated(one)])
    with run_postgres() as server:
        dsn = server.new_database("documents")
        migrate(dsn)
        projected(dsn, log, hospital)
        with running_gateway(dsn, log, hospital.store, viewer=viewer.folder()) as client, browser.new_page() as page:
            address = f"{client.root.removesuffix(DICOMWEB)}/viewer?StudyInstanceUIDs={one.instance.study_uid}"
            page.goto(address, wait_until="commit", timeout=DEADLINE_MS)
            page.locator("object").first.wait_for(timeout=DEADLINE_MS)

            def is_shown() -> bool:
                # While it waits, Playwright hears of frames.
                page.title()
                return any(frame.url.startswith("chrome-extension://") for frame in page.frames)

            wait_until(is_shown, "the browser's own reader of PDFs")
