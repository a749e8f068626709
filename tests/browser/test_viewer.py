"""The viewer on the running stack, in a browser: what a reader does with a CT, from the list to a saved measurement."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from radstream.phantom import Study
from tests.browser.conftest import Shoot
from tests.browser.ohif import GREYS, Viewer
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

MARK = "AI, not reviewed"
NAME = "Measured by hand"


@pytest.fixture
def viewer(page: Page, study: Study) -> Viewer:
    viewer = Viewer(page)
    viewer.open(study)
    return viewer


def test_from_the_list_to_a_stack_and_through_a_hundred_images(page: Page, study: Study, shoot: Shoot) -> None:
    page.goto("/", wait_until="commit")
    page.locator("[data-cy='input-mrn']").fill(f"PHANTOM-{study.seed}")
    rows = page.locator("[data-cy^='studyRow-']")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Generated chest CT")
    rows.click()
    start = page.get_by_role("button", name="Basic Viewer")
    start.wait_for()
    shoot(page, "study-list")
    start.click()
    viewer = Viewer(page)
    viewer.wait_for_stack(study)

    images, shown = max(study.slices), [viewer.ask("picture(screens[0])")]
    for index in range(1, images):
        page.mouse.wheel(0, 100)
        viewer.wait(f"screens[0].getCurrentImageIdIndex() === {index}")
        if index % 11 == 0:
            viewer.wait(f"picture(screens[0]) !== {shown[-1]} && greys(screens[0]) > {GREYS}")
            shown.append(viewer.ask("picture(screens[0])"))
    assert len(set(shown)) == 10
    expect(page.locator("[data-cy='viewport-overlay-bottom-right']")).to_contain_text(f"{images}/{images}")


def test_a_stack_is_cut_along_three_planes_and_drawn_as_a_volume(viewer: Viewer, shoot: Shoot) -> None:
    viewer.press("Layout")
    viewer.page.get_by_text("MPR", exact=True).click()
    viewer.wait("screens.length === 3 && screens.every(one => one.type === 'orthographic')")
    viewer.wait(f"screens.every(one => greys(one) > {GREYS})")
    normals = viewer.ask("screens.map(one => one.getCamera().viewPlaneNormal.map(x => Math.round(Math.abs(x))))")
    assert isinstance(normals, list)
    assert sorted(normals) == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    shoot(viewer.page, "mpr")

    viewer.press("Layout")
    viewer.page.get_by_text("3D only", exact=True).click()
    viewer.wait("screens.length === 1 && screens[0].type === 'volume3d'")
    viewer.wait(f"greys(screens[0]) > {GREYS}")
    shoot(viewer.page, "volume")


def test_a_length_is_measured_saved_and_there_again(viewer: Viewer, root: str, study: Study, shoot: Shoot) -> None:
    page = viewer.page
    viewer.press("Length-btn")
    viewer.drag((0.4, 0.5), (0.6, 0.55))
    viewer.press("prompt-begin-tracking-yes-btn")
    viewer.press("trackedMeasurements-btn")
    # A panel that opens by itself is there twice for a while.
    listed = page.locator("[data-cy='trackedMeasurements-panel']").last
    expect(listed).to_contain_text(" mm")
    length = _length(listed.inner_text())
    page.get_by_text("Create SR").click()
    page.locator("[data-cy='dialog-input']").fill(NAME)
    with page.expect_response(lambda answer: answer.request.method == "POST") as saved:
        page.get_by_role("button", name="Save").click()
    assert saved.value.ok
    # What the router took is there for all readers when the catalog has read of it.
    wait_until(lambda: NAME in _descriptions(root, study), "the report in a search")

    viewer.open(study)
    viewer.load("SR", NAME)
    viewer.press("trackedMeasurements-btn")
    expect(listed).to_contain_text(" mm")
    assert _length(listed.inner_text()) == length
    shoot(page, "measurement")


def test_what_a_model_drew_lies_on_the_images_and_says_so(viewer: Viewer, shoot: Shoot) -> None:
    page = viewer.page
    listed = page.locator("[data-cy='study-browser-thumbnail-no-image']").filter(has_not_text=NAME)
    listed.first.wait_for()
    assert all(MARK in text for text in listed.all_inner_texts())
    assert viewer.ask("coloured(screens[0])") == 0
    viewer.load("SEG", f"{MARK}: nodule-ct")
    viewer.press("panelSegmentation-btn")
    viewer.wait("coloured(screens[0]) > 0")
    expect(page.get_by_text(re.compile(f"^{MARK}: nodule-ct")).last).to_be_visible()
    expect(page.get_by_text("Nodules 1").last).to_be_visible()
    shoot(page, "segmentation")


def _length(text: str) -> str:
    found = re.search(r"[\d.]+ mm", text)
    assert found is not None
    return found[0]


def _descriptions(root: str, study: Study) -> set[str]:
    """Of the series that a search finds."""
    asked = {"includefield": "SeriesDescription"}
    accept = {"accept": "application/dicom+json"}
    found = requests.get(f"{root}/dicomweb/studies/{study.uid}/series", params=asked, headers=accept, timeout=60)
    return {value for one in found.json() for value in one.get("0008103E", {}).get("Value", [])}
