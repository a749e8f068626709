"""The inference server: Triton on the CPU, with the networks that the deployments name."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from consumers.ai import repository
from consumers.ai.entries import FILE, MODELS, entries
from consumers.ai.repository import DIGEST, NETWORK, Model
from infra.local import ports
from infra.local.errors import StackError
from infra.local.parts.part import Site, get_status
from infra.local.process import Launch
from infra.local.tools import triton
from streams import config

# Requests that wait at once are run together, up to so many images.
BATCH_MAX = 16
QUEUE_US_MAX = 1000
SHARED = Path("/dev/shm")  # noqa: S108 - POSIX shared memory, which the server makes


class Chosen(config.Section, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What the server has to know of section [ai]."""

    repository: Path = MODELS
    deployments: Path = FILE


class Triton:
    name = "triton"
    stop_signal = signal.SIGTERM
    start_s_max = 120.0
    stop_s_max = 30.0

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def ports(self) -> Sequence[int]:
        return (self._port("http"), self._port("grpc"), self._port("metrics"))

    def _port(self, what: str) -> int:
        """Asked when it is needed: a home that was founded before this part was there has it after its next start."""
        return self._site.state.ports[f"triton-{what}"]

    @property
    def waits_for(self) -> str:
        return f"its models on {ports.HOST}:{self._port('http')}"

    def prepare(self) -> None:
        """Writes the model repository anew, and takes away what a killed server left in shared memory."""
        for left in SHARED.glob(f"{self._prefix}*"):
            left.unlink(missing_ok=True)
        for folder in (self._models, self._backends):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        python = self._backends / "python"
        python.mkdir()
        for file in (*(triton.folder() / "backends" / "python").glob("*.*"), triton.stub()):
            # Linked, not copied: the stub finds its libraries from where it really is.
            (python / file.name).symlink_to(file)
        try:
            for name, models in groupby(self._served(), key=lambda model: model.card.name):
                _serve(self._models / name, tuple(models))
        except config.ConfigError as error:
            raise StackError(str(error)) from None

    def launch(self) -> Launch:
        options = {
            "model-repository": self._models,
            "backend-directory": self._backends,
            "http-address": ports.HOST,
            "http-port": self._port("http"),
            "grpc-address": ports.HOST,
            "grpc-port": self._port("grpc"),
            "metrics-address": ports.HOST,
            "metrics-port": self._port("metrics"),
            "backend-config": f"python,shm-region-prefix-name={self._prefix}",
            "exit-timeout-secs": 5,
        }
        program = triton.folder() / "bin" / "tritonserver"
        arguments = [f"--{name}={value}" for name, value in options.items()]
        return Launch([str(program), *arguments], triton.environment())

    def ready(self) -> bool:
        return get_status(f"http://{ports.HOST}:{self._port('http')}/v2/health/ready") == 200

    @property
    def _models(self) -> Path:
        return self._site.data(self.name) / "models"

    @property
    def _backends(self) -> Path:
        return self._site.data(self.name) / "backends"

    @property
    def _prefix(self) -> str:
        return f"radstream-{self._port('grpc')}-"

    def _served(self) -> Iterator[Model]:
        """Every version that a deployment on Triton names."""
        found = config.load(self._site.config)
        chosen = found.section("ai", Chosen) if "ai" in found.names else Chosen()
        wanted = {(one.model, one.version) for one in entries(chosen.deployments).values() if one.backend == "triton"}
        for name, version in sorted(wanted):
            yield repository.load(chosen.repository, name, version)


def address(port: int) -> str:
    """Of its gRPC interface."""
    return f"{ports.HOST}:{port}"


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
