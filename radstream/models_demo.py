"""Trains the demonstration model on generated phantoms, tests it on others, and makes a version of the repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from consumers.ai.exporting import INPUT, OUTPUT, onnx_of
from consumers.ai.network import UNet, parameters
from consumers.ai.repository import CARD, NETWORK, Card, Tensors
from consumers.ai.sampling import Sampled, Sampling
from consumers.ai.training import Example, probabilities, train
from radstream.nodule_phantoms import known

NAME = "nodule-ct"
SEED = 1
# Phantoms are numbered by their seeds; that of the demo's study is 1.
FIRST_TRAINED, FIRST_HELD_OUT = 1000, 2000
TENSORS = Tensors(input=INPUT, output=OUTPUT, pixels=256, pixel_mm=1.5, step_mm=5.0, window=(-1000.0, 400.0))
SAMPLING = Sampling(TENSORS.pixels, TENSORS.pixel_mm, TENSORS.step_mm, TENSORS.window)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Effort:
    """How much is trained and tested. `nodules` are those of each phantom that is learned from."""

    steps: int = 450
    phantoms: int = 10
    held_out: int = 6
    nodules: int = 12


@dataclass(frozen=True, eq=False)
class Trained:
    """`metrics` are those of the held-out phantoms, which have a few nodules each."""

    network: UNet
    metrics: Mapping[str, float]


def trained(effort: Effort, progress: Progress) -> Trained:
    """`progress` is told what is done, how far it is, and how far it goes."""
    examples = []
    for number in range(effort.phantoms):
        progress("phantoms", number, effort.phantoms)
        examples.append(_example(FIRST_TRAINED + number, effort.nodules))
    network = train(examples, effort.steps, SEED, lambda step, _: progress("training", step, effort.steps))
    tests = []
    for number in range(effort.held_out):
        progress("testing", number, effort.held_out)
        tests.append(_example(FIRST_HELD_OUT + number, None))
    return Trained(network, _metrics(network, tests))


def _example(seed: int, nodules: int | None) -> Example:
    chest = known(seed, nodules)
    sampled = Sampled(SAMPLING, chest.volume)
    images = np.concatenate(list(sampled.batches(len(sampled))))
    cover = np.stack([sampled.grid.onto(plane) for plane in chest.nodules])
    return Example(images, (cover >= 0.5).astype(np.float32))


def _metrics(network: UNet, tests: Sequence[Example]) -> dict[str, float]:
    scores, hit, there, invented = [], 0, 0, 0
    for test in tests:
        found, wanted = probabilities(network, test.images) >= 0.5, test.masks > 0
        scores.append(2 * float((found & wanted).sum()) / float(found.sum() + wanted.sum()))
        hits, number = _touched(wanted, found)
        right, said = _touched(found, wanted)
        hit, there, invented = hit + hits, there + number, invented + said - right
    return {
        "dice_mean": round(float(np.mean(scores)), 3),
        "dice_min": round(min(scores), 3),
        "nodules_found": round(hit / there, 3),
        "false_findings_per_phantom": round(invented / len(tests), 2),
        "phantoms": len(tests),
        "parameters": parameters(network),
    }


def _touched(parts: NDArray[np.bool_], others: NDArray[np.bool_]) -> tuple[int, int]:
    """How many connected parts meet the others, and how many there are."""
    labels, count = ndimage.label(parts, np.ones((3, 3, 3)))
    return len(np.unique(labels[others & parts])), int(count)


def written(repository: Path, version: str, made: Trained, effort: Effort) -> Path:
    """Makes the folder of a version, with its file and its card. Raises FileExistsError, OSError."""
    folder = repository / NAME / version
    network = onnx_of(made.network, TENSORS)
    folder.mkdir(parents=True)
    (folder / NETWORK).write_bytes(network)
    (folder / CARD).write_text(_toml(_card(version, network, made, effort)), encoding="utf-8")
    return folder


def _card(version: str, network: bytes, made: Trained, effort: Effort) -> Card:
    return Card(
        name=NAME,
        version=version,
        kind="network",
        purpose=(
            "Shows the plumbing: a network that marks nodules of the lung on CT. It learned from drawings, so it says "
            "nothing of patients and nothing of clinical performance."
        ),
        inputs="An axial chest CT series in Hounsfield units, images 1 to 7 mm apart.",
        outputs="The probability of each pixel to be nodule; each connected part above the threshold is a finding.",
        training_data=(
            f"{effort.phantoms} generated chests of {effort.nodules} nodules each (radstream/nodule_phantoms.py, seeds "
            f"from {FIRST_TRAINED}), {effort.steps} steps, seed {SEED}; tested on {effort.held_out} others (seeds from "
            f"{FIRST_HELD_OUT}). No person's images."
        ),
        limits=(
            "Not a medical device. For demonstrations and tests only: never for a decision about a person.",
            "It has seen round, partly calcified nodules of 12 to 22 mm in the upper half of drawn lungs, no others.",
            "Confidence is the mean output over a finding's voxels; it is not calibrated.",
        ),
        licence="Apache-2.0",
        metrics=made.metrics,
        digest=hashlib.sha256(network).hexdigest(),
        tensors=TENSORS,
    )


def _toml(card: Card) -> str:
    """TOML 1.0; its basic strings and arrays are written as JSON's are."""
    tables = {key: value for key, value in msgspec.to_builtins(card).items() if value is not None}
    plain = [f"{key} = {_value(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            plain += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(plain) + "\n"


def _value(value: object) -> str:
    if isinstance(value, list | tuple) and any(isinstance(one, str) for one in value):
        return "[\n" + "".join(f"    {json.dumps(one, ensure_ascii=False)},\n" for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
