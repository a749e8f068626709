"""A chest in Hounsfield units: ellipses for organs, a branching tree for the vessels of the lungs.

Millimetres in the patient's system (PS3.3 section C.7.6.2.1.1): x to the left, y to the back, z to the head. Level 0 is
the top of the lungs, level 1 is below the diaphragm. Nothing in it was measured on a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]

FIELD_OF_VIEW_MM = 370.0
HEIGHT_MM = 320.0

AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER, DISC, MARROW, CORTEX = -1000, -860, -105, 55, 42, 62, 95, 210, 720
RIBS = 11
BRANCHINGS = 6
# Of a granuloma with some calcium: denser than blood, so that a small network can tell it from a vessel.
NODULE = 150
BULLA = -985
NODULES = (2, 3)
BULLAE = 14


@dataclass(frozen=True)
class Ellipse:
    """Centre and half axes in mm, turned by `angle` radians."""

    x: float
    y: float
    rx: float
    ry: float
    angle: float = 0.0


@dataclass(frozen=True)
class Vessel:
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Sphere:
    """Centre and radius in mm; z is 0 at level 0."""

    x: float
    y: float
    z: float
    radius: float


class Chest:
    """One invented patient. The seed moves sizes by a few percent, grows another vessel tree, and puts nodules into the
    lungs, as many as `nodules` says or a few, and bullae of an emphysema into their upper half."""

    def __init__(self, seed: int, matrix: int, nodules: int | None = None) -> None:
        self.matrix = matrix
        self.spacing_mm = FIELD_OF_VIEW_MM / matrix
        random = np.random.default_rng([seed, 1])
        self.size = float(random.uniform(0.94, 1.06))
        self._heart = float(random.uniform(0.92, 1.12))
        self._vessels = [*_tree(random, -1.0), *_tree(random, 1.0)]
        # Streams of their own: another number of one leaves the other as it was.
        random = np.random.default_rng([seed, 4])
        count = int(random.integers(NODULES[0], NODULES[1] + 1)) if nodules is None else nodules
        self.drawn_nodules = [_in_a_lung(random, (0.12, 0.46), (6.0, 11.0)) for _ in range(count)]
        random = np.random.default_rng([seed, 5])
        self._bullae = [_in_a_lung(random, (0.10, 0.45), (4.0, 12.0)) for _ in range(BULLAE)]

    def axial(self, level: float) -> Image:
        """One transverse section of shape (rows, columns), in Hounsfield units."""
        image = np.full((self.matrix, self.matrix), AIR, np.float32)
        self._wall(image)
        self._lungs(image, level)
        self._mediastinum(image, level)
        self._abdomen(image, level)
        self._bones(image, level)
        return image

    def nodules(self, level: float) -> Image:
        """How much of each pixel of a section is nodule, from 0 to 1; shape (rows, columns)."""
        cover = np.zeros((self.matrix, self.matrix), np.float32)
        self._spheres(cover, self.drawn_nodules, level, 1.0)
        return cover

    def _wall(self, image: Image) -> None:
        self._paint(image, Ellipse(0, 142, 190, 9), -850)
        self._paint(image, Ellipse(0, 0, 168, 112), FAT + 110)
        self._paint(image, Ellipse(0, 0, 166, 110), FAT)
        self._paint(image, Ellipse(0, 1, 150, 96), MUSCLE)

    def _lungs(self, image: Image, level: float) -> None:
        scale = _lung_scale(level)
        for side in (-1, 1):
            self._paint(image, Ellipse(side * 70, -2, 62 * scale, 82 * scale, side * 0.12), LUNG)
        self._spheres(image, self._bullae, level, BULLA)
        for vessel, section in self._crossing(level):
            self._paint(image, section, BLOOD if vessel.radius > 1.2 else -350)
        self._spheres(image, self.drawn_nodules, level, NODULE)

    def _spheres(self, image: Image, spheres: Sequence[Sphere], level: float, value: float) -> None:
        for sphere in spheres:
            cut = sphere.radius**2 - (level * HEIGHT_MM - sphere.z) ** 2
            if cut > 0:
                self._paint(image, Ellipse(sphere.x, sphere.y, math.sqrt(cut), math.sqrt(cut)), value)

    def _crossing(self, level: float) -> Iterator[tuple[Vessel, Ellipse]]:
        """Where vessels cut the section: a slanting one is cut lengthwise."""
        depth = level * HEIGHT_MM
        for vessel in self._vessels:
            (x0, y0, z0), (x1, y1, z1) = vessel.start, vessel.end
            if not min(z0, z1) - vessel.radius <= depth <= max(z0, z1) + vessel.radius:
                continue
            part = min(1.0, max(0.0, (depth - z0) / (z1 - z0))) if abs(z1 - z0) > 1e-6 else 0.5
            across = math.hypot(x1 - x0, y1 - y0)
            longest = max(abs(z1 - z0), across / 4, 1e-6)
            length = vessel.radius * math.hypot(1.0, across / longest)
            turn = math.atan2(y1 - y0, x1 - x0)
            yield vessel, Ellipse(x0 + part * (x1 - x0), y0 + part * (y1 - y0), length, vessel.radius, turn)

    def _mediastinum(self, image: Image, level: float) -> None:
        self._paint(image, Ellipse(0, 5, 26, 62), FAT + 60)
        heart = max(0.0, 1 - ((level - 0.72) / 0.26) ** 2) ** 0.5 * self._heart
        self._paint(image, Ellipse(22, -22, 62 * heart, 46 * heart, 0.6), BLOOD)
        self._paint(image, Ellipse(24, -24, 34 * heart, 24 * heart, 0.6), BLOOD + 12)
        self._paint(image, Ellipse(24, 44, 12, 12), BLOOD)
        if level < 0.55:
            self._paint(image, Ellipse(-12, -20, 15, 15), BLOOD)
        arch = max(0.0, 1 - ((level - 0.28) / 0.05) ** 2) ** 0.5
        self._paint(image, Ellipse(6, 12, 34 * arch, 13 * arch, 1.1), BLOOD)
        self._paint(image, Ellipse(2, 34, 7, 5), MUSCLE)
        self._airways(image, level)

    def _airways(self, image: Image, level: float) -> None:
        if level < 0.40:
            self._tube(image, Ellipse(0, 16, 10, 9))
        elif level < 0.55:
            apart = (level - 0.40) / 0.15
            for side in (-1, 1):
                self._tube(image, Ellipse(side * (7 + 34 * apart), 16, 8 - 3 * apart, 7 - 2 * apart))

    def _tube(self, image: Image, inside: Ellipse) -> None:
        self._paint(image, Ellipse(inside.x, inside.y, inside.rx + 1.6, inside.ry + 1.6), MUSCLE)
        self._paint(image, inside, AIR)

    def _abdomen(self, image: Image, level: float) -> None:
        for x, top, value in ((-66, 0.80, LIVER), (64, 0.86, LIVER - 12)):
            if level > top:
                dome = min(1.0, ((level - top) / 0.22) ** 0.5)
                self._paint(image, Ellipse(x, -4, 62 * dome, 80 * dome), value)

    def _bones(self, image: Image, level: float) -> None:
        in_disc = (level * 11.0) % 1.0 < 0.22
        self._paint(image, Ellipse(0, 66, 19, 16), DISC if in_disc else CORTEX)
        if not in_disc:
            self._paint(image, Ellipse(0, 66, 17, 14), MARROW)
        self._paint(image, Ellipse(0, 90, 12, 10), CORTEX)
        self._paint(image, Ellipse(0, 89, 8.5, 7.5), 30)
        self._paint(image, Ellipse(0, 104, 3.5, 9), MARROW + 150)
        if 0.15 < level < 0.75:
            self._paint(image, Ellipse(0, -97, 17, 6), CORTEX - 150)
            self._paint(image, Ellipse(0, -97, 14, 3.8), MARROW)
        for rib in range(RIBS):
            self._rib(image, level, rib)

    def _rib(self, image: Image, level: float, rib: int) -> None:
        """A rib slopes from the spine down to the front, so a section cuts it once on each side."""
        along = (level - (rib * 0.085 - 0.12)) / 0.30
        if not 0.02 < along < 0.95:
            return
        around = along * math.pi * 0.92 + 0.12
        for side in (-1, 1):
            x, y = side * 141 * math.sin(around), 88 * math.cos(around)
            turn = math.atan2(-88 * math.sin(around), side * 141 * math.cos(around))
            self._paint(image, Ellipse(x, y, 15, 4.8, turn), CORTEX)
            self._paint(image, Ellipse(x, y, 13, 3.0, turn), MARROW)

    def _paint(self, image: Image, ellipse: Ellipse, value: float) -> None:
        """Lays an ellipse over what is there, its edge one pixel wide."""
        rx, ry = ellipse.rx * self.size, ellipse.ry * self.size
        if min(rx, ry) < 0.2:
            return
        centre = self.matrix / 2
        column, row = (
            centre + ellipse.x * self.size / self.spacing_mm,
            centre + ellipse.y * self.size / self.spacing_mm,
        )
        cos, sin = math.cos(ellipse.angle), math.sin(ellipse.angle)
        columns = _span(column, math.hypot(rx * cos, ry * sin) / self.spacing_mm, self.matrix)
        rows = _span(row, math.hypot(rx * sin, ry * cos) / self.spacing_mm, self.matrix)
        dx = (np.arange(columns.start, columns.stop, dtype=np.float32) - column) * self.spacing_mm
        dy = (np.arange(rows.start, rows.stop, dtype=np.float32) - row)[:, np.newaxis] * self.spacing_mm
        inside = 1 - np.hypot((dx * cos + dy * sin) / rx, (dy * cos - dx * sin) / ry)
        cover = np.clip(inside * (min(rx, ry) / self.spacing_mm) + 0.5, 0, 1)
        window = image[rows, columns]
        window += cover * (value - window)


def _span(centre: float, reach: float, matrix: int) -> slice:
    return slice(max(0, math.floor(centre - reach) - 1), max(0, min(matrix, math.ceil(centre + reach) + 2)))


def _lung_scale(level: float) -> float:
    """Half axes of the lungs against their widest: narrow at the top, open towards the diaphragm."""
    return math.sqrt(max(0.0, 1 - ((level - 0.66) / 0.64) ** 2))


def _tree(random: np.random.Generator, side: float) -> Iterator[Vessel]:
    """Vessels of one lung, from the hilum outwards; each branching makes them shorter and thinner."""
    hilum = (side * 34.0, 8.0, 0.5 * HEIGHT_MM)
    tips = [(hilum, direction, 4.4, 34.0) for direction in _fan(random, np.array([side * 0.4, 0.0, 0.0]), 9, 0.9)]
    for _ in range(BRANCHINGS):
        grown = []
        for start, direction, radius, length in tips:
            end = (
                start[0] + float(direction[0]) * length,
                start[1] + float(direction[1]) * length,
                start[2] + float(direction[2]) * length,
            )
            if not _in_lung(end, side):
                continue
            yield Vessel(start, end, radius)
            grown += [(end, turned, radius * 0.68, length * 0.84) for turned in _fan(random, direction, 3, 0.5)]
        tips = grown


def _fan(
    random: np.random.Generator, direction: npt.NDArray[np.float64], count: int, spread: float
) -> Iterator[npt.NDArray[np.float64]]:
    for _ in range(count):
        turned = direction + random.normal(0.0, spread, 3)
        yield turned / np.linalg.norm(turned)


def _in_a_lung(random: np.random.Generator, levels: tuple[float, float], radii: tuple[float, float]) -> Sphere:
    """A sphere that lies within a lung, between two levels."""
    side, radius = float(random.choice((-1.0, 1.0))), float(random.uniform(*radii))
    while True:
        z = float(random.uniform(*levels)) * HEIGHT_MM
        x, y = side * 70 + float(random.uniform(-50, 50)), float(random.uniform(-70, 70))
        ends = ((x - radius, y, z), (x + radius, y, z), (x, y - radius, z), (x, y + radius, z), (x, y, z - radius))
        # The hilum and the heart are on the inner side, painted over the lungs.
        if abs(x) - radius > 42 and all(_in_lung(end, side) for end in ends):
            return Sphere(x, y, z, radius)


def _in_lung(point: tuple[float, float, float], side: float) -> bool:
    level = point[2] / HEIGHT_MM
    scale = _lung_scale(level) * 0.92
    if not 0.04 < level < 0.92 or scale <= 0:
        return False
    return ((point[0] - side * 70) / (62 * scale)) ** 2 + ((point[1] + 2) / (82 * scale)) ** 2 < 1
