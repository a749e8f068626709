"""The packaged Avro schemas: one folder per subject, one file per version, examples beside them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_VERSION = re.compile(r"v([1-9][0-9]*)\.avsc\Z")


@dataclass(frozen=True)
class Schema:
    """One version of one subject; `definition` is the parsed Avro JSON (Avro 1.12 specification)."""

    subject: str
    version: int
    definition: dict[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.definition, separators=(",", ":"))


@dataclass(frozen=True)
class Subject:
    name: str
    versions: tuple[Schema, ...]
    examples: tuple[dict[str, Any], ...]

    @property
    def latest(self) -> Schema:
        return self.versions[-1]

    def version(self, number: int) -> Schema:
        """Raises KeyError where this build does not carry that version."""
        for schema in self.versions:
            if schema.version == number:
                return schema
        raise KeyError(f"{self.name} version {number}")


@cache
def load_subjects() -> dict[str, Subject]:
    """Every packaged subject by name, versions in ascending order."""
    root = files("schemas").joinpath("avro")
    subjects = {}
    for folder in root.iterdir():
        if folder.is_dir():
            subjects[folder.name] = _load(folder)
    return dict(sorted(subjects.items()))


def _load(folder: Any) -> Subject:
    versions = []
    for file in folder.iterdir():
        if match := _VERSION.match(file.name):
            versions.append(Schema(folder.name, int(match[1]), json.loads(file.read_text(encoding="utf-8"))))
    examples = sorted(folder.joinpath("examples").iterdir(), key=lambda file: file.name)
    return Subject(
        folder.name,
        tuple(sorted(versions, key=lambda schema: schema.version)),
        tuple(json.loads(file.read_text(encoding="utf-8")) for file in examples if file.name.endswith(".json")),
    )
