"""The network on the demo's chest: what it says, where it says it is, and the same on every backend."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from consumers.ai import codes, repository
from consumers.ai.analysis import Analysed, ModelSlow, WrongShape
from consumers.ai.backends.backend import Backend, sampling_of
from consumers.ai.backends.in_process import InProcess
from consumers.ai.backends.settings import Backends
from consumers.ai.deployments import deployments
from consumers.ai.entries import FILE, MODELS
from consumers.ai.repository import Model
from consumers.ai.sampling import Floats, Sampled
from radstream.phantom_anatomy import Chest
from tests.chests import chest, drawn

# Of probabilities: what two orders of the same sums may differ by.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model() -> Model:
    return repository.load(MODELS, "nodule-ct", "1")


@pytest.fixture(scope="module")
def batch(model: Model) -> Floats:
    return next(itertools.islice(Sampled(sampling_of(model), chest()).batches(4), 9, None))


@pytest.fixture(scope="module")
def found() -> Analysed:
    (nodules,) = (one for one in deployments(MODELS, FILE, Backends()) if one.deployment == "nodule-ct")
    analysed = nodules.analyse(chest())
    assert isinstance(analysed, Analysed)
    return analysed


def test_the_nodules_of_the_demo_are_found_where_they_are(found: Analysed) -> None:
    person = Chest(1, 512)
    largest = max(person.drawn_nodules, key=lambda nodule: nodule.radius)
    finding = found.findings[0]
    assert (finding.code, finding.location, finding.category) == (codes.NODULE, codes.LUNG, "detection")
    assert finding.geometry is not None
    low, high = np.array(finding.geometry.points).reshape(2, 3)
    centre = np.array((largest.x * person.size, largest.y * person.size, -largest.z))
    assert np.all(low < centre)
    assert np.all(centre < high)
    measured = {one.code: one.value for one in finding.measurements}
    ball = 4 / 3 * np.pi * largest.radius**3 * person.size**2
    assert measured[codes.VOLUME] == pytest.approx(ball, rel=0.3)
    assert measured[codes.LONG_AXIS] == pytest.approx(2 * largest.radius * person.size, abs=3)
    assert finding.confidence is not None
    assert 0.5 <= finding.confidence <= 1
    assert finding.severity == "moderate"


def test_findings_name_the_images_that_show_them_and_the_mask_has_them(found: Analysed) -> None:
    volume = chest()
    assert found.segment is not None
    assert found.segment.mask.shape == volume.voxels.shape
    shown = {uid for uid, image in zip(volume.sop_instance_uids, found.segment.mask, strict=True) if image.any()}
    named = {ref.sop_instance_uid for one in found.findings if one.geometry for ref in one.geometry.images}
    assert shown == named
    total = sum(one.value for draft in found.findings for one in draft.measurements if one.code == codes.VOLUME)
    assert total == pytest.approx(float(found.segment.mask.sum()) * volume.voxel_mm3, rel=0.001)


def test_a_single_image_can_be_asked_about() -> None:
    whole = chest()
    nodule = max(Chest(1, 512).drawn_nodules, key=lambda one: one.radius)
    at = int(np.argmin(np.abs(whole.affine[2, 0] * np.arange(len(whole.voxels)) + whole.affine[2, 3] + nodule.z)))
    uids = whole.sop_instance_uids[at : at + 1]
    one = replace(whole, voxels=whole.voxels[at : at + 1], sop_instance_uids=uids, headers=whole.headers[at : at + 1])
    (nodules,) = (one for one in deployments(MODELS, FILE, Backends()) if one.deployment == "nodule-ct")
    analysed = nodules.analyse(one)
    assert isinstance(analysed, Analysed)
    assert analysed.findings[0].geometry is not None
    assert [ref.sop_instance_uid for ref in analysed.findings[0].geometry.images] == list(uids)


def test_an_empty_chest_has_no_findings() -> None:
    (nodules,) = (one for one in deployments(MODELS, FILE, Backends()) if one.deployment == "nodule-ct")
    analysed = nodules.analyse(drawn(lambda x, y, z: -1000 + 0 * x * y * z))
    assert isinstance(analysed, Analysed)
    assert (analysed.findings, analysed.segment) == ((), None)


def test_torch_eager_and_exported_say_what_onnxruntime_says(model: Model, batch: Floats) -> None:
    if find_spec("torch") is None:
        pytest.skip("torch is not installed (extra torch)")
    from consumers.ai.backends.with_torch import WithTorch

    said = InProcess(model, 1, 30.0).run(batch)
    assert said.max() > 0.5, "there is a nodule in these images"
    backends: list[Backend] = [WithTorch(model, 30.0), WithTorch(model, 30.0, "export")]
    for backend in backends:
        assert np.abs(backend.run(batch) - said).max() < TOLERANCE
        assert np.abs(backend.run(batch[:1]) - said[:1]).max() < TOLERANCE
        with pytest.raises(WrongShape):
            backend.run(batch[:, :2])


def test_onnxruntime_says_which_way_it_failed(model: Model, batch: Floats) -> None:
    with pytest.raises(WrongShape):
        InProcess(model, 1, 30.0).run(batch[:, :2])
    with pytest.raises(ModelSlow):
        InProcess(model, 1, 0.0).run(np.concatenate([batch] * 8))


# Only the second run of a shape allocates what the first has planned, and takes nearly all of a room that is too small
# for twice that; from then on a small batch needs a thread's stack of 8 MiB and no more, and the large one 256 MiB at
# once. 48 MiB is far from both, and less than the 64 MiB that malloc reserves for a new thread if it can have them.
STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from consumers.ai import repository
from consumers.ai.analysis import OutOfMemory
from consumers.ai.backends.in_process import InProcess

backend = InProcess(repository.load(Path(sys.argv[1]), "nodule-ct", "1"), 1, 30.0)
batch = np.zeros((64, 3, 256, 256), np.float32)
for _ in range(3):
    backend.run(batch[:1])
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (48 << 20),) * 2)
try:
    backend.run(batch)
except OutOfMemory:
    backend.run(batch[:1])
    print("out of memory, and goes on")
"""


def test_without_memory_for_a_batch_the_next_one_still_runs() -> None:
    """In a process of its own, whose address space has room for nothing but a small batch."""
    ran = subprocess.run(
        [sys.executable, "-c", STARVED, str(MODELS)], capture_output=True, text=True, check=False, timeout=240
    )
    assert ran.stdout.strip() == "out of memory, and goes on", ran.stderr


def test_a_spoilt_file_is_no_network(model: Model, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model.network.read_bytes()[:5000])
    with pytest.raises(Exception, match="onnxruntime cannot load it"):
        InProcess(Model(model.card, tmp_path, model.digest, model.card_digest), 1, 30.0)
