"""The steps that can be replayed: what each is made of, as its service is.

Inference is not among them yet: each deployed model has an identity of its own, and its SR and SEG are instances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consumers.derive import config as derive_config
from consumers.derive import step as derive
from consumers.validate import config as validate_config
from consumers.validate import levels_reading
from consumers.validate import step as validate
from radstream.errors import Failure
from streams.config import Config, digest
from streams.events import Replay
from streams.generation import StepIdentity, digest_of
from streams.objects import ObjectStore
from streams.runner_settings import RunnerSettings
from streams.step import Step

STEPS = (validate.Validate.name, derive.Derive.name)


@dataclass(frozen=True)
class ReplayStep:
    """`make` builds the step for an identity. The rest is what the identity's digest covers."""

    name: str
    code_version: int
    config_digest: str
    settings: RunnerSettings
    make: Callable[[StepIdentity, ObjectStore], Step[Any]]

    def digest_of(self, replay: Replay) -> str:
        return digest_of(self.name, self.code_version, self.config_digest, replay=replay)


def step_of(config: Config, name: str) -> ReplayStep:
    """A step as the configuration has it now. Raises ConfigError, and Failure for a step that has no replay."""
    if name == validate.Validate.name:
        checked = config.section(name, validate_config.Settings)
        levels = levels_reading.of_site(checked.rules)
        return ReplayStep(
            name,
            validate.CODE_VERSION,
            digest(checked.limits, levels.file),
            checked.runner,
            lambda identity, store: validate.Validate(identity, store, checked.limits, levels),
        )
    if name == derive.Derive.name:
        copied = config.section(name, derive_config.Settings)
        return ReplayStep(
            name,
            derive.CODE_VERSION,
            digest(copied.output),
            copied.runner,
            lambda identity, store: derive.Derive(identity, store, copied.output),
        )
    raise Failure(f"{name} cannot be replayed; these can: {', '.join(STEPS)}")
