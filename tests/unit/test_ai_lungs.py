"""Lungs and LAA-950 on volumes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from consumers.ai import codes
from consumers.ai.analysis import Analysed, NotAnalysed
from consumers.ai.emphysema import Emphysema, Settings
from consumers.ai.lungs import lungs_of
from consumers.ai.selection import Selection
from consumers.ai.volume import Volume
from streams.events import ModelRef
from tests.chests import chest, drawn

MODEL = ModelRef(name="laa-950", version="1", digest="", card_digest="", backend="code")
LAA = Emphysema("laa-950", MODEL, Selection(), Settings())
AIR, LUNG, BODY, LOW = -1000, -860, 40, -970


def body(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.where((x / 150) ** 2 + (y / 110) ** 2 < 1, BODY, AIR) + 0 * z


def lungs(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Two balls of 42 mm."""
    return (np.abs(x) - 60) ** 2 + y**2 + z**2 < 42**2


def with_emphysema(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A quarter of each lung: what is left of its centre and in front."""
    low = lungs(x, y, z) & (np.abs(x) < 60) & (y < 0)
    return np.where(low, LOW, np.where(lungs(x, y, z), LUNG, body(x, y, z)))


def with_trachea(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A tube of air that opens into the right lung in the lowest images."""
    tube = (x**2 + y**2 < 9**2) | ((np.abs(y) < 6) & (x > -30) & (x < 0) & (np.abs(z) < 3))
    return np.where(tube & ~lungs(x, y, z), AIR, with_emphysema(x, y, z))


def measured(volume: Volume) -> dict[str, float]:
    found = LAA.analyse(volume)
    assert isinstance(found, Analysed)
    return {one.code.value: one.value for one in found.findings[0].measurements}


def test_the_index_and_the_volume_of_drawn_lungs():
    found = measured(drawn(with_emphysema))
    assert found[codes.LAA_950.value] == pytest.approx(25, abs=0.5)
    assert found[codes.VOLUME.value] == pytest.approx(2 * 4 / 3 * np.pi * 42**3 / 1000, rel=0.03)


def test_a_trachea_is_no_lung():
    volume = drawn(with_trachea)
    assert not lungs_of(volume)[30, 80, 80]
    assert measured(volume)[codes.LAA_950.value] == pytest.approx(25, abs=1.5)


def test_vessels_belong_to_the_lungs_and_the_air_around_a_body_does_not():
    mask = lungs_of(drawn(lambda x, y, z: np.where((np.abs(x) - 60) ** 2 + y**2 < 9, BODY, with_emphysema(x, y, z))))
    assert mask[20, 80, 50]
    assert not mask[20, 2, 2]


def test_without_lungs_nothing_is_said():
    found = LAA.analyse(drawn(body))
    assert isinstance(found, NotAnalysed)
    assert found.code == "no_lungs"


def test_the_generated_chest_has_lungs_of_a_person():
    volume = chest(matrix=256)
    found = measured(volume)
    assert 4000 < found[codes.VOLUME.value] < 7500
    assert 0.2 < found[codes.LAA_950.value] < 5
    assert measured(volume) == found, "deterministic"
