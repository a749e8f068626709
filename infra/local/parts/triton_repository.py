"""Triton's model repository: the networks that the deployments name, each with the program that runs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from consumers.ai import repository
from consumers.ai.entries import FILE, MODELS, entries
from consumers.ai.repository import DIGEST, NETWORK, Model
from infra.local.errors import StackError
from infra.local.tools import triton
from streams import config

# Requests that wait at once are run together, up to so many images.
BATCH_MAX = 16
QUEUE_US_MAX = 1000


class Chosen(config.Section, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What the server has to know of section [ai]."""

    repository: Path = MODELS
    deployments: Path = FILE


def write(chosen: Chosen, models: Path, backends: Path) -> None:
    """Writes both folders anew. Raises StackError where a model cannot run there."""
    for folder in (models, backends):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    python = backends / "python"
    python.mkdir()
    for file in (*(triton.folder() / "backends" / "python").glob("*.*"), triton.stub()):
        # Linked, not copied: the stub finds its libraries from where it really is.
        (python / file.name).symlink_to(file)
    try:
        for name, versions in groupby(_served(chosen), key=lambda model: model.card.name):
            _serve(models / name, tuple(versions))
    except config.ConfigError as error:
        raise StackError(str(error)) from None


def _served(chosen: Chosen) -> Iterator[Model]:
    """Every version that a deployment on Triton names."""
    wanted = {(one.model, one.version) for one in entries(chosen.deployments).values() if one.backend == "triton"}
    for name, version in sorted(wanted):
        yield repository.load(chosen.repository, name, version)


def _serve(folder: Path, versions: Sequence[Model]) -> None:
    """One model as Triton wants it. Its versions are numbers, so ours that run there are numbers too."""
    for model in versions:
        if not model.card.version.isdecimal():
            raise StackError(
                f"{model.folder}: Triton's versions are numbers; give this one a number, or another backend"
            )
        (folder / model.card.version).mkdir(parents=True)
        shutil.copyfile(model.network, folder / model.card.version / NETWORK)
        shutil.copyfile(Path(__file__).with_name("triton_model.py"), folder / model.card.version / "model.py")
    (folder / "config.pbtxt").write_text(_config(versions), encoding="utf-8")


def _config(versions: Sequence[Model]) -> str:
    """Triton's ModelConfig, as protobuf text. All versions of a model take and give the same tensors."""
    tensors = versions[-1].card.tensors
    if tensors is None:
        raise StackError(f"{versions[-1].folder}: is no network, so Triton cannot run it; give it the backend code")
    served = ", ".join(model.card.version for model in versions)
    digests = {DIGEST.format(version=model.card.version): model.digest for model in versions}
    parameters = "".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' for key, value in digests.items()
    )
    return f"""\
backend: "python"
max_batch_size: {BATCH_MAX}
input [ {{ name: "{tensors.input}" data_type: TYPE_FP32 dims: [ 3, {tensors.pixels}, {tensors.pixels} ] }} ]
output [ {{ name: "{tensors.output}" data_type: TYPE_FP32 dims: [ 1, {tensors.pixels}, {tensors.pixels} ] }} ]
dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_US_MAX} }}
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
version_policy {{ specific {{ versions: [ {served} ] }} }}
{parameters}"""
