"""A browser, and a study for it to show. These tests come after all others of a session."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect, sync_playwright

from gateway.config import Settings
from radstream.phantom import Study, encoded
from radstream.sending import send_items
from tests.pipeline_run import router_of, settled
from tests.running_stack import RunningStack

FOLDER = Path(__file__).parent
STUDY = Study(seed=95, slices=(0, 100, 0), matrix=128)
# It costs nothing where the machine is quick: OHIF compiles and draws on the processor here.
DEADLINE_MS = 180_000.0
# A context's own deadline is not that of what is expected of its pages, which is five seconds.
expect.set_options(timeout=DEADLINE_MS)
# WebGL without a graphics card. Chromium's own sandbox does not start as root.
FLAGS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", *(("--no-sandbox",) if os.geteuid() == 0 else ()))
# A folder that pictures for the documentation go to: RADSTREAM_SCREENS=docs/screens .venv/bin/pytest tests/browser.
SCREENS = "RADSTREAM_SCREENS"

Shoot = Callable[[Page, str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The last ones: what they send to the shared stack, nobody else's counts have in them."""
    items.sort(key=lambda item: FOLDER in item.path.parents)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module: while it is open, this thread has an event loop that runs."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is absent (Debian's package chromium): the viewer is not opened")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=DEADLINE_MS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def root(stack: RunningStack) -> str:
    settings = stack.config.section("gateway", Settings)
    if settings.viewer is None:
        pytest.skip("OHIF is absent (`radstream up` says why): the viewer is not opened")
    return f"http://{settings.host}:{settings.port}"


@pytest.fixture(scope="session")
def study(stack: RunningStack) -> Study:
    """A CT of a hundred images of one series, with what the models said of it."""
    items = list(encoded(STUDY.seed, STUDY.slices, matrix=STUDY.matrix))
    # With a revision more, which a pause of a slow machine makes, results are superseded.
    with stack.patient():
        assert send_items(items, router_of(stack)).statuses == {"0000": len(items)}
        settled(stack)
    return STUDY


@pytest.fixture(scope="module")
def desk(browser: Browser, root: str) -> Iterator[BrowserContext]:
    """A workstation's window. What the browser keeps of OHIF's files, all pages of it have."""
    with browser.new_context(base_url=root, viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(DEADLINE_MS)
        yield context


@pytest.fixture
def page(desk: BrowserContext) -> Iterator[Page]:
    """A page in which nothing may fail that the viewer asks us for."""
    with desk.new_page() as opened:
        refused: list[str] = []

        def note(answer: Response) -> None:
            if answer.status >= 400:
                refused.append(f"{answer.status} {answer.url}")

        opened.on("response", note)
        yield opened
        assert refused == []


@pytest.fixture(scope="session")
def shoot() -> Shoot:
    """Writes a picture of a page, where a folder for it is named."""
    folder = os.environ.get(SCREENS)

    def write(page: Page, name: str) -> None:
        if folder:
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)
            shot.save(Path(folder) / f"{name}.png", optimize=True)

    return write
