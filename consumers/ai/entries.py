"""The file of deployments: which models run, on what, and for which images. Read by all who need its names alone."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from consumers.ai.selection import Selection
from streams.config import ConfigError, Section

MODELS = Path(__file__).with_name("models")
FILE = MODELS / "deployments.toml"
ON = Literal["onnxruntime", "triton", "torch", "code"]


class Deployment(Section, frozen=True, kw_only=True):
    """One entry. `settings` are the analysis's own."""

    model: str
    version: str
    backend: ON
    selection: Selection
    settings: Mapping[str, Any] = {}


def entries(file: Path) -> dict[str, Deployment]:
    """The entries of a file by their names. Raises ConfigError."""
    try:
        found = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), dict[str, Deployment])
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); give [ai] deployments another file") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{file}: not a list of deployments: {error}") from None
    for name, one in found.items():
        if one.selection.unit == "instance" and one.selection.images_min != 1:
            raise ConfigError(f"{file}: [{name}] is for single instances, so its images_min is 1")
    return found
