"""A site says in its configuration which copy an image gets; what it says wrong is told at the start."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from consumers.derive.config import Output, Settings
from consumers.derive.policy import Choice, of_copies
from consumers.derive.step import Derive
from streams.clock import SystemClock
from streams.config import ConfigError, digest, load
from streams.events import InstanceDerived, Source, Technical
from streams.memory_store import MemoryStore
from streams.routes.matching import Facts
from streams.step import Done, Input
from tests import images
from tests.received import events_of, identity, validated

SITE = """
[derive]
http_port = 1

[derive.output.lossless]
recompress = true

[[derive.output.lossless.rules]]
match.modality = ["MG", "DX"]
match.calling_ae = "READING_*"
syntax = "jpeg-ls"

[[derive.output.lossless.rules]]
match.sop_class = "CTImageStorage"
syntax = "htj2k-rpcl"
recompress = false

[[derive.output.lossless.rules]]
match.tags.StationName = "OLD*"
syntax = "none"
"""


def settings(folder: Path, text: str) -> Settings:
    file = folder / "radstream.toml"
    file.write_text(text, encoding="utf-8")
    return load(file).section("derive", Settings)


def test_the_first_rule_that_fits_counts_and_says_only_what_it_says(tmp_path: Path) -> None:
    policy = of_copies(settings(tmp_path, SITE).output.lossless)

    assert policy.choice(Facts(modality="DX", calling_ae="READING_1")) == Choice("jpeg-ls", recompress=True)
    assert policy.choice(Facts(modality="CT", sop_class=images.CT)) == Choice("htj2k-rpcl", recompress=False)
    assert policy.choice(Facts(modality="DX", calling_ae="ELSEWHERE")) == Choice("htj2k", recompress=True)
    assert policy.choice(Facts()) == Choice("htj2k", recompress=True)
    assert of_copies(Output().lossless).choice(Facts()) == Choice("htj2k", recompress=False)


@pytest.mark.parametrize(
    ("rule", "line", "said"),
    [
        ('syntax = "jpeg"', 4, "Invalid enum value 'jpeg'"),
        ('match.modality = "CT"', 3, "it says nothing: give it syntax or recompress"),
        ('syntax = "none"\nmatch.modality = "CTA"', 3, "match.modality: `CTA` is none of the defined terms"),
        ('syntax = "none"\nmatch.modality = "ct"', 3, "match.modality: codes are upper case"),
        ('syntax = "none"\nmatch.sop_class = "CTStorage"', 3, "match.sop_class: `CTStorage` is no keyword"),
        ('syntax = "none"\nmatch.tags.Nonsense = "1"', 3, "match.tags.Nonsense: `Nonsense` is no keyword"),
        ('syntax = "none"\nmodality = "CT"', 5, "unknown field `modality`"),
    ],
)
def test_a_rule_that_cannot_be_used_is_told_at_the_start(tmp_path: Path, rule: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(tmp_path, f"[derive]\nhttp_port = 1\n[[derive.output.lossless.rules]]\n{rule}\n")

    assert f"radstream.toml:{line}: [derive] output.lossless.rules[0]" in str(raised.value)
    assert said in str(raised.value)


def test_the_policy_is_part_of_the_identity_of_what_is_made(tmp_path: Path) -> None:
    plain = settings(tmp_path, "[derive]\nhttp_port = 1\n")

    assert digest(settings(tmp_path, SITE).output) != digest(plain.output)


def test_the_step_asks_for_the_sender_the_modality_and_the_elements(tmp_path: Path) -> None:
    output = settings(tmp_path, SITE).output
    pixels = np.arange(32 * 32, dtype=np.uint16).reshape(1, 32, 32)

    assert made(output, images.native(pixels), "MG", "READING_2") == ["1.2.840.10008.1.2.4.80", None, None]
    assert made(output, images.native(pixels), "CT", "CT1") == ["1.2.840.10008.1.2.4.202", None, None]
    old = images.native(pixels, StationName="OLD ONE", SOPClassUID="1.2.3")
    assert made(output, old, "OT", "CT1") == [None, None, "not_wanted"]


def made(output: Output, data: bytes, modality: str, calling_ae: str) -> list[str | None]:
    """The transfer syntaxes of the parts, and the notes."""
    store = MemoryStore()
    item = validated(store, data)
    event = msgspec.structs.replace(
        item.event,
        instance=msgspec.structs.replace(item.event.instance, sop_class_uid=_sop_class(data)),
        technical=Technical(modality=modality),
        source=Source(protocol="dicom", calling_ae=calling_ae, called_ae="RADSTREAM", association="1"),
    )
    (outcome,) = Derive(identity("derive"), store, output)([Input(event, item.record)], SystemClock())
    assert isinstance(outcome, Done)
    (derived,) = events_of(outcome, store)
    assert isinstance(derived, InstanceDerived)
    return [*(one.transfer_syntax_uid for one in derived.representations), *derived.notes]


def _sop_class(data: bytes) -> str:
    return images.CT if images.CT.encode() in data else ""
