"""Which models run here, on what, and for which images: one file, `models/deployments.toml`."""

from __future__ import annotations

from pathlib import Path

from consumers.ai.analysis import Analysis
from consumers.ai.backends.settings import Backends

MODELS = Path(__file__).with_name("models")
FILE = MODELS / "deployments.toml"


def deployments(repository: Path, file: Path, backends: Backends) -> tuple[Analysis, ...]:
    """Every deployment of `file`, with its model loaded from `repository`.

    Those on a Triton server are left out where `backends` names none. Raises ConfigError for a file that cannot be
    used, a model that is not there, and one whose files are not those of its card.
    """
    return ()
