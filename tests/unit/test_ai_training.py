"""The demonstration model can be trained anew: a short training makes a version that loads and runs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from consumers.ai import repository
from consumers.ai.backends.in_process import InProcess

torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed (extra torch)")


@torch
def test_a_short_training_makes_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radstream.nodule_phantoms.IMAGES", (24, 24))
    from radstream.models_demo import Effort, trained, written

    effort = Effort(steps=6, phantoms=1, held_out=1)
    stages = []
    made = trained(effort, lambda stage, *_: stages.append(stage))
    folder = written(tmp_path, "7", made, effort)
    assert list(dict.fromkeys(stages)) == ["phantoms", "training", "testing"]
    model = repository.load(tmp_path, "nodule-ct", "7")
    assert model.folder == folder
    assert model.card.metrics["parameters"] == 37612
    answer = InProcess(model, 1, 30.0).run(np.zeros((1, 3, 256, 256), np.float32))
    assert answer.shape == (1, 1, 256, 256)
