"""The stack's own Triton server: the same answers as in process, and failures that a step can act on."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from consumers.ai import repository
from consumers.ai.analysis import ModelAway, ModelFailed, ModelSlow, WrongShape
from consumers.ai.backends.backend import sampling_of
from consumers.ai.backends.in_process import InProcess
from consumers.ai.backends.on_triton import OnTriton
from consumers.ai.entries import MODELS
from consumers.ai.repository import Model
from consumers.ai.sampling import Floats, Sampled
from infra.local.tools import triton
from tests.chests import chest
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not triton.is_usable(), reason="no Triton server for this machine (infra/local/tools/triton.py)"
    ),
]
TOLERANCE = 1e-4
SHARED = Path("/dev/shm")  # noqa: S108 - where the server makes its own


@pytest.fixture(scope="module")
def model() -> Model:
    return repository.load(MODELS, "nodule-ct", "1")


@pytest.fixture(scope="module")
def batch(model: Model) -> Floats:
    return next(itertools.islice(Sampled(sampling_of(model), chest()).batches(4), 9, None))


@pytest.fixture(scope="module")
def said(model: Model, batch: Floats) -> Floats:
    return InProcess(model, 1, 180.0).run(batch)


@pytest.fixture
def backend(stack: RunningStack, model: Model) -> Iterator[OnTriton]:
    made = OnTriton(model, f"127.0.0.1:{stack.ports['triton-grpc']}", 180.0)
    yield made
    made.close()


def test_triton_says_what_onnxruntime_says(backend: OnTriton, batch: Floats, said: Floats) -> None:
    assert said.max() > 0.5, "there is a nodule in these images"
    assert np.abs(backend.run(batch) - said).max() < TOLERANCE
    assert np.abs(backend.run(batch[1:2]) - said[1:2]).max() < TOLERANCE


def test_arrays_travel_by_grpc_where_memory_is_not_shared(
    stack: RunningStack, model: Model, batch: Floats, said: Floats
) -> None:
    elsewhere = OnTriton(model, f"127.0.0.2:{stack.ports['triton-grpc']}", 180.0)
    with pytest.raises(ModelAway):
        elsewhere.run(batch)
    named = OnTriton(model, f"ipv4:127.0.0.1:{stack.ports['triton-grpc']}", 180.0)
    assert np.abs(named.run(batch) - said).max() < TOLERANCE
    assert not ours()


def test_many_at_once_each_get_their_own_answer(backend: OnTriton, batch: Floats, said: Floats) -> None:
    def one(index: int) -> float:
        place = index % len(batch)
        return float(np.abs(backend.run(batch[place : place + 1]) - said[place : place + 1]).max())

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(one, range(24))) < TOLERANCE


def test_what_the_network_does_not_take_is_said(backend: OnTriton, batch: Floats) -> None:
    with pytest.raises(WrongShape):
        backend.run(batch[:, :2])
    backend.run(batch[:1])


def test_a_time_limit_holds_and_memory_that_may_still_be_written_is_given_up(
    stack: RunningStack, model: Model, batch: Floats
) -> None:
    hasty = OnTriton(model, f"127.0.0.1:{stack.ports['triton-grpc']}", 0.001)
    with pytest.raises(ModelSlow):
        hasty.run(np.concatenate([batch] * 4))
    assert not ours()


def test_a_server_with_other_weights_is_refused(
    stack: RunningStack, model: Model, batch: Floats, tmp_path: Path
) -> None:
    shutil.copytree(model.folder, tmp_path / "1")
    other = Model(model.card, tmp_path / "1", "0" * 64, model.card_digest)
    with pytest.raises(ModelFailed, match="another model of that name"):
        OnTriton(other, f"127.0.0.1:{stack.ports['triton-grpc']}", 180.0).run(batch)


def test_a_killed_server_is_away_and_comes_back(
    stack: RunningStack, backend: OnTriton, batch: Floats, said: Floats
) -> None:
    backend.run(batch)
    stack.kill("triton")
    with pytest.raises(ModelAway):
        backend.run(batch)
    stack.up(("triton",))
    wait_until(lambda: answers(backend, batch), "the channel to be opened again")
    assert np.abs(backend.run(batch) - said).max() < TOLERANCE


def test_a_killed_server_leaves_no_memory_behind(stack: RunningStack, backend: OnTriton) -> None:
    prefix = f"radstream-{stack.ports['triton-grpc']}-"
    assert len(list(SHARED.glob(f"{prefix}*"))) == 1, "a killed server's was taken away at the next start"


def answers(backend: OnTriton, batch: Floats) -> bool:
    try:
        backend.run(batch)
    except ModelAway:
        return False
    return True


def ours() -> list[Path]:
    """Regions of this process."""
    return list(SHARED.glob(f"radstream-{os.getpid()}-*"))
