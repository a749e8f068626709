"""What can be set: section [ai]."""

from __future__ import annotations

from pathlib import Path

from consumers.ai.backends.settings import Backends
from consumers.ai.entries import FILE, MODELS
from streams.config import Section, Service
from streams.runner_settings import RunnerSettings


class Limits(Section, frozen=True, kw_only=True):
    """`series_bytes_max` bounds the images of one series in memory. A request whose model fails is parked
    `attempts_max` times; `away_attempts_max` where the model's server or the images are away, which often come back.
    """

    series_bytes_max: int = 2 << 30
    attempts_max: int = 3
    away_attempts_max: int = 12


class Settings(Service, frozen=True, kw_only=True):
    """Memory is about `runner.threads` times the largest series, twice. One record is worked on at a time by each
    thread: an urgent one waits for no batch.
    """

    repository: Path = MODELS
    deployments: Path = FILE
    runner: RunnerSettings = RunnerSettings(threads=2, batch_max=1)
    backends: Backends = Backends()
    limits: Limits = Limits()
