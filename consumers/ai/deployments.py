"""Which models run here, on what, and for which images: one file, `models/deployments.toml`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import msgspec

from consumers.ai import emphysema, nodules, repository
from consumers.ai.analysis import Analysis
from consumers.ai.backends.backend import Backend
from consumers.ai.backends.settings import Backends
from consumers.ai.entries import FILE, MODELS, ON, Deployment, entries
from consumers.ai.repository import Model
from streams.config import ConfigError, Section
from streams.events import ModelRef

__all__ = ["FILE", "MODELS", "deployments"]

S = TypeVar("S", bound=Section)


def deployments(models: Path, file: Path, backends: Backends) -> tuple[Analysis, ...]:
    """Every deployment of `file`, with its model loaded from the repository `models`.

    Those on a Triton server are left out where `backends` names none. Raises ConfigError for a file that cannot be
    used, a model that is not there, and one whose files are not those of its card.
    """
    return tuple(
        _analysis(models, file, name, one, backends)
        for name, one in entries(file).items()
        if one.backend != "triton" or backends.triton
    )


def _analysis(models: Path, file: Path, name: str, one: Deployment, backends: Backends) -> Analysis:
    model = repository.load(models, one.model, one.version)
    card = model.card
    if (card.kind == "code") != (one.backend == "code"):
        raise ConfigError(f"{file}: [{name}] backend: {card.name} is {card.kind}, which {one.backend} cannot run")
    ref = ModelRef(
        name=card.name, version=card.version, digest=model.digest, card_digest=model.card_digest, backend=one.backend
    )
    if card.kind == "network":
        chosen = _settings(file, name, one, nodules.Settings)
        return nodules.Nodules(name, ref, one.selection, backend_of(one.backend, model, backends), model, chosen)
    if card.name != "laa-950":
        raise ConfigError(f"{file}: [{name}] model: this build has no code of the name {card.name}")
    return emphysema.Emphysema(name, ref, one.selection, _settings(file, name, one, emphysema.Settings))


def _settings(file: Path, name: str, one: Deployment, kind: type[S]) -> S:
    try:
        return msgspec.convert(one.settings, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: [{name}.settings] {error}") from None


def backend_of(on: ON, model: Model, backends: Backends) -> Backend:
    """What runs a network. Each is imported where it is used: not every site has all. Raises ConfigError."""
    if on == "triton":
        from consumers.ai.backends.on_triton import OnTriton

        return OnTriton(model, backends.triton, backends.timeout_s)
    if on == "torch":
        if find_spec("torch") is None:
            raise ConfigError("a deployment runs on torch, which is not installed: pip install 'radstream[torch]'")
        from consumers.ai.backends.with_torch import WithTorch

        return WithTorch(model, backends.timeout_s)
    from consumers.ai.backends.in_process import InProcess

    return InProcess(model, backends.threads, backends.timeout_s)
