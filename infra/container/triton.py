"""The inference server in a container of its own: Triton on the CPU, with the networks that the deployments name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from infra.container.configuration import FOLDER
from infra.local.parts.triton_repository import Chosen, write
from infra.local.tools import triton

PORTS = {"http": 8000, "grpc": 8001, "metrics": 8002}


def serve(folder: Path = FOLDER) -> NoReturn:
    """Becomes the server. It listens on every interface of its container. Raises StackError."""
    models, backends = folder / "models", folder / "backends"
    write(Chosen(), models, backends)
    program, *arguments = command(models, backends)
    os.execve(program, [program, *arguments], {**os.environ, **triton.environment()})  # noqa: S606


def command(models: Path, backends: Path) -> list[str]:
    listening = [
        option for name, port in PORTS.items() for option in (f"--{name}-address=0.0.0.0", f"--{name}-port={port}")
    ]
    program = triton.folder() / "bin" / "tritonserver"
    return [str(program), f"--model-repository={models}", f"--backend-directory={backends}", *listening]
