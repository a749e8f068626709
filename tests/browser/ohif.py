"""OHIF 3.12 as a reader has it: where to click, and what stands on the screen."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from radstream.phantom import Study

# OHIF leaves its rendering library in the window.
_SCREENS = "window.cornerstone?.getRenderingEngines?.().flatMap(engine => engine.getViewports()) ?? []"
# Each look reads a canvas back, which the page waits for.
POLL_MS = 50


class Viewer:
    """The basic viewer in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, study: Study) -> None:
        self.page.goto(f"/viewer?StudyInstanceUIDs={study.uid}", wait_until="commit")
        self.wait_for_stack(study)

    def wait_for_stack(self, study: Study) -> None:
        """Until the series is there, its first image is drawn, and the tour of a first visit is out of the way."""
        self.wait(f"screens.some(one => one.type === 'stack' && one.getImageIds().length === {max(study.slices)})")
        self.wait(f"greys(screens[0]) > {GREYS}")
        self.page.add_locator_handler(self.page.get_by_text("Skip all"), lambda tour: tour.click())
        self.canvas.hover()

    def wait(self, condition: str) -> None:
        """A condition in JavaScript over `screens`, the viewports of cornerstone."""
        asked = f"() => {{ {_FUNCTIONS} const screens = {_SCREENS}; return {condition}; }}"
        self.page.wait_for_function(asked, polling=POLL_MS)

    def ask(self, expression: str) -> object:
        return self.page.evaluate(f"() => {{ {_FUNCTIONS} const screens = {_SCREENS}; return {expression}; }}")

    @property
    def canvas(self) -> Locator:
        return self.page.locator("[data-cy='viewport-pane'] canvas").first

    def series(self, kind: str, description: str) -> Locator:
        """A series without a picture in the browser of the study, such as SR and SEG."""
        listed = self.page.locator("[data-cy='study-browser-thumbnail-no-image']")
        return listed.filter(has_text=kind).filter(has_text=description).first

    def load(self, kind: str, description: str) -> None:
        """Opens such a series over the images that it is about."""
        self.series(kind, description).dblclick()
        self.press("yes-hydrate-btn")

    def press(self, name: str) -> None:
        self.page.locator(f"[data-cy='{name}']").first.click()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Between two places of the canvas, as fractions of its width and height."""
        self.canvas.hover()
        box = self.canvas.bounding_box()
        assert box is not None
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        mouse = self.page.mouse
        mouse.move(*places[0])
        mouse.down()
        mouse.move(*places[1], steps=5)
        mouse.up()


# A canvas with nothing but its background has a few greys, and one with an image many. Colour is an overlay's.
GREYS = 20
_FUNCTIONS = """
const pixels = one => {
  const canvas = one.getCanvas();
  return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
};
const picture = one => new Uint32Array(pixels(one).buffer).reduce((sum, pixel) => (31 * sum + pixel) | 0, 0);
const greys = one => new Set(new Uint32Array(pixels(one).buffer)).size;
const coloured = one => {
  const data = pixels(one);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = data.subarray(at, at + 3);
    found += Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
  }
  return found;
};
"""
