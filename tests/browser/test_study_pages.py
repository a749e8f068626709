"""Study pages in many tabs: a browser has six connections to one address, and pages that nobody looks at hold none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from consumers.catalog.migrate import migrate
from tests.browser.conftest import DEADLINE_MS
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.gateways import Client, running_gateway
from tests.postgres import run_postgres

CONNECTIONS = 6
# Chromium without a window shows all of its pages; these are told what a tab is told that another one covers.
TURN = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


class Site:
    """A study of two images, and a gateway over its catalog."""

    def __init__(self, dsn: str) -> None:
        migrate(dsn)
        self.dsn, self.log, self.hospital = dsn, new_log(), Hospital()
        self.images = self.hospital.study("P1", "DOE^JANE", series=2, images=1)
        self.take(*self.images, *map(self.hospital.validated, self.images))

    @property
    def page(self) -> str:
        return f"/study/{self.images[0].instance.study_uid}"

    def take(self, *events: object) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with run_postgres() as server:
        yield Site(server.new_database("tabs"))


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[Client]:
    with running_gateway(site.dsn, site.log) as client:
        yield client


@pytest.fixture
def context(browser: Browser, client: Client) -> Iterator[BrowserContext]:
    with browser.new_context(base_url=client.root.removesuffix("/dicomweb")) as context:
        yield context


def opened(context: BrowserContext, path: str) -> Page:
    page = context.new_page()
    with page.expect_request("**/events?study=*", timeout=DEADLINE_MS):
        page.goto(path, timeout=DEADLINE_MS)
    return page


def test_more_pages_than_connections_can_be_open(site: Site, context: BrowserContext) -> None:
    pages = [opened(context, site.page) for _ in range(CONNECTIONS)]
    for page in pages:
        page.evaluate(TURN, True)
    last = context.new_page()
    last.goto(site.page, timeout=DEADLINE_MS)
    expect(last.get_by_text("DOE^JANE")).to_be_visible()


def test_a_page_that_is_looked_at_again_is_of_this_moment(site: Site, context: BrowserContext) -> None:
    page = opened(context, site.page)
    expect(page.locator("figure")).to_have_count(2)
    page.evaluate(TURN, True)
    site.take(site.hospital.quarantined(site.images[0]))
    with page.expect_request("**/events?study=*", timeout=DEADLINE_MS):
        page.evaluate(TURN, False)
    expect(page.locator("figure")).to_have_count(1)


def test_a_page_that_cannot_be_read_says_so(site: Site, context: BrowserContext) -> None:
    """Before, what was held by then went on standing there without a word."""
    page = opened(context, site.page)
    page.route("**/study/*", lambda route: route.fulfill(status=503))
    page.evaluate("WAIT_MS_MAX => refresh('revision', WAIT_MS_MAX)", 16_000)
    expect(page.locator("#live")).to_contain_text("may be so no more")


def returned_to(context: BrowserContext, site: Site, *, writing: bool) -> tuple[Page, list[str]]:
    """A page that another tab covered for a while, and how often it was read since: by a clock that runs ahead."""
    page = context.new_page()
    page.clock.install()
    with page.expect_request("**/events?study=*", timeout=DEADLINE_MS):
        page.goto(site.page, timeout=DEADLINE_MS)
    if writing:
        page.evaluate("document.getElementById('main').insertAdjacentHTML('beforeend', '<details open></details>')")
    reads: list[str] = []
    page.on("request", lambda request: reads.append(request.url) if request.url.endswith(site.page) else None)
    page.evaluate(TURN, True)
    return page, reads


def run_on(page: Page) -> None:
    """Past all times that it waits for, with an answer of the gateway between each two."""
    for _ in range(8):
        page.clock.run_for(16_000)
        page.evaluate("fetch(location.pathname + '?between').then(answer => answer.text())")


def test_a_page_that_is_looked_at_again_is_read_once(site: Site, context: BrowserContext) -> None:
    """Before, five times each, and each is noted as a study that was shown: also while it was covered again."""
    page, reads = returned_to(context, site, writing=False)
    page.evaluate(TURN, False)
    run_on(page)
    page.evaluate(TURN, True)
    assert len(reads) == 1
    page.evaluate(TURN, False)
    page.evaluate(TURN, True)
    run_on(page)
    assert len(reads) == 1


def test_who_writes_is_told_of_what_is_new_alone(site: Site, context: BrowserContext) -> None:
    """Before, he was told that something is new at each return, and to reload the page, which forgets what he wrote."""
    page, _ = returned_to(context, site, writing=True)
    page.evaluate(TURN, False)
    run_on(page)
    expect(page.locator("#live")).to_be_empty()
    page.evaluate(TURN, True)
    site.take(site.hospital.quarantined(site.images[1]))
    page.evaluate(TURN, False)
    run_on(page)
    expect(page.locator("#live")).to_contain_text("Send what you are writing")
