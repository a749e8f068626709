"""The inference server: Triton on the CPU, with the networks that the deployments name."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from infra.local import ports
from infra.local.errors import StackError
from infra.local.parts.part import Site, get_status
from infra.local.parts.triton_repository import Chosen, write
from infra.local.process import Launch
from infra.local.tools import triton
from streams import config


class Triton:
    name = "triton"
    stop_signal = signal.SIGTERM
    start_s_max = 300.0
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
        for left in triton.SHARED.glob(f"{self._prefix}*"):
            left.unlink(missing_ok=True)
        try:
            found = config.load(self._site.config)
            chosen = found.section("ai", Chosen) if "ai" in found.names else Chosen()
        except config.ConfigError as error:
            raise StackError(str(error)) from None
        write(chosen, self._models, self._backends)

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


def address(port: int) -> str:
    """Of its gRPC interface."""
    return f"{ports.HOST}:{port}"
