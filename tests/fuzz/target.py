"""What a target is: a module of `tests.fuzz.targets` with bytes to begin with and a check of any bytes.

A check returns where all is as it should be, and raises otherwise; `tests.fuzz.bounds` bounds its time and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Final

NAMES: Final = (
    "association",
    "association_request",
    "command_set",
    "commitment_references",
    "data_set_tags",
    "dicom_file",
    "hl7_frames",
    "hl7_message",
    "incoming_file",
    "pixel_data",
    "spool_segment",
    "stow_body",
    "stow_request",
    "validated_file",
    "worklist_query",
)


@dataclass(frozen=True)
class Target:
    """`seeds` are inputs that are read well, `words` bytes that matter to the reader (PS3.5 tags, separators)."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...]
    input_bytes_max: int


def load(name: str) -> Target:
    module = import_module(f"tests.fuzz.targets.{name}")
    return Target(name, module.check, module.seeds, module.WORDS, module.INPUT_BYTES_MAX)
