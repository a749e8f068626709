"""What can be set: section [validate]."""

from __future__ import annotations

from streams.config import Section, Service
from streams.runner_settings import RunnerSettings


class Limits(Section, frozen=True, kw_only=True):
    """What one instance may cost. They decide what is quarantined, so they are part of the step's identity."""

    object_bytes_max: int = 4 << 30
    inflated_bytes_max: int = 64 << 20
    elements_max: int = 500_000
    depth_max: int = 64


class Studies(Section, frozen=True, kw_only=True):
    """What one study may cost: of a larger one, so many instances are compared. Part of the identity, too."""

    instances_max: int = 10_000


class Settings(Service, frozen=True, kw_only=True):
    """Memory is about `runner.threads` times the largest object."""

    runner: RunnerSettings = RunnerSettings()
    limits: Limits = Limits()
    studies: Studies = Studies()
