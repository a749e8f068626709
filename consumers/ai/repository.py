"""The model repository: a folder for each model, in it one for each version, with a card and the model's file.

    <repository>/<name>/<version>/card.toml
    <repository>/<name>/<version>/model.onnx      where the model is a network

A version never changes: a card names the digest of its file, and another file is another version.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from streams.config import ConfigError, Section

CARD, NETWORK = "card.toml", "model.onnx"
# Of the configuration of a model on a Triton server: with it, the server says whose weights it runs.
DIGEST = "radstream-digest-{version}"
_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*\Z")


class Tensors(Section, frozen=True, kw_only=True):
    """What a network takes and gives: `pixels` rows and columns of `pixel_mm`, the images below and above `step_mm`
    away as channels, Hounsfield units `window` as 0 to 1. The names are those in its file."""

    input: str
    output: str
    pixels: int
    pixel_mm: float
    step_mm: float
    window: tuple[float, float]


class Card(Section, frozen=True, kw_only=True):
    """What a model is for, on what it was made, how good it is, and what it cannot do."""

    name: str
    version: str
    kind: Literal["network", "code"]
    purpose: str
    inputs: str
    outputs: str
    training_data: str
    limits: tuple[str, ...]
    licence: str
    metrics: Mapping[str, float] = {}
    digest: str = ""
    tensors: Tensors | None = None


@dataclass(frozen=True)
class Model:
    """A version that was read and whose file is the card's. `digest` and `card_digest` are SHA-256 (hex)."""

    card: Card
    folder: Path
    digest: str
    card_digest: str

    @property
    def network(self) -> Path:
        return self.folder / NETWORK


def models(repository: Path) -> Iterator[Model]:
    """Every version of every model, by name. Raises ConfigError."""
    for card in sorted(repository.glob(f"*/*/{CARD}")):
        yield load(repository, card.parent.parent.name, card.parent.name)


def versions(repository: Path, name: str) -> tuple[str, ...]:
    """The versions of a model, the oldest first."""
    return tuple(sorted((path.parent.name for path in repository.glob(f"{name}/*/{CARD}")), key=_age))


def load(repository: Path, name: str, version: str) -> Model:
    """Raises ConfigError where it is not there, its card cannot be used, or its file is not the card's."""
    folder = repository / name / version
    if not _NAME.match(name) or not _NAME.match(version) or not (folder / CARD).is_file():
        raise ConfigError(f"{repository}: no model {name} of version {version}; see: radstream models list")
    text = (folder / CARD).read_bytes()
    card = _card(folder / CARD, text)
    if (card.name, card.version) != (name, version):
        raise ConfigError(
            f"{folder / CARD}: is the card of {card.name} {card.version}; put it into a folder of that name"
        )
    return Model(card, folder, _digest(folder, card), hashlib.sha256(text).hexdigest())


def _card(path: Path, text: bytes) -> Card:
    try:
        card = msgspec.convert(tomllib.loads(text.decode("utf-8")), Card)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: not a card: {error}") from None
    if (card.kind == "network") != (card.tensors is not None and bool(card.digest)):
        raise ConfigError(f"{path}: a network, and nothing else, has a digest and [tensors]")
    return card


def _digest(folder: Path, card: Card) -> str:
    """Of the network's file; of code, whose version is raised by hand, its name and version."""
    if card.kind == "code":
        return hashlib.sha256(json.dumps([card.name, card.version]).encode()).hexdigest()
    try:
        found = hashlib.sha256((folder / NETWORK).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(
            f"{folder / NETWORK}: cannot be read ({error.strerror}); put it back, or train it anew"
        ) from None
    if found != card.digest:
        raise ConfigError(
            f"{folder / NETWORK}: is not the file that its card names (SHA-256 {found[:16]}…, the card says "
            f"{card.digest[:16]}…); put the right one back, or make it a version of its own"
        )
    return found


def _age(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (0, version)
