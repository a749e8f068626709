"""What is large and good is read, by validate and by all who come after it; what is let through all the same, too."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from consumers.derive.config import Lossless, Output
from consumers.derive.step import Derive
from consumers.validate.config import Limits, Settings
from consumers.validate.reasons import reason_of
from consumers.validate.step import Validate
from streams import elements
from streams.clock import SystemClock
from streams.config import ConfigError, load
from streams.events import InstanceDerived, InstanceValidated
from streams.memory_store import MemoryStore
from streams.step import Done, Quarantine
from tests import functional_groups, hostile_data_sets, images
from tests.received import events_of, identity, received, validated

UIDS = (images.STUDY, images.SERIES, images.INSTANCE)
# A functional MRI: 5,000 frames with 109 heads each.
FRAMES, MACROS = 5_000, 9


@pytest.fixture(scope="module")
def functional() -> bytes:
    return functional_groups.enhanced(FRAMES, MACROS, 32)


def judged(data: bytes, limits: Limits | None = None) -> Quarantine | InstanceValidated:
    store = MemoryStore()
    (made,) = Validate(identity("validate"), store, limits or Limits())([received(store, data, UIDS)], SystemClock())
    if isinstance(made, Quarantine):
        return made
    assert isinstance(made, Done)
    (event,) = events_of(made, store)
    assert isinstance(event, InstanceValidated)
    return event


def derived(data: bytes) -> InstanceDerived:
    store, output = MemoryStore(), Output(lossless=Lossless(syntax="none"))
    (made,) = Derive(identity("derive"), store, output)([validated(store, data, UIDS)], SystemClock())
    assert isinstance(made, Done)
    (event,) = events_of(made, store)
    assert isinstance(event, InstanceDerived)
    return event


def test_a_large_multi_frame_image_is_let_through_and_has_pictures(functional: bytes) -> None:
    assert functional_groups.heads(FRAMES, MACROS) > 500_000

    assert isinstance(judged(functional), InstanceValidated)
    assert {one.kind for one in derived(functional).representations} >= {"thumbnail", "preview"}


def test_few_bytes_with_many_elements_are_held_and_what_a_site_sets_lets_them_flow(functional: bytes) -> None:
    small = functional_groups.enhanced(FRAMES, MACROS, 4)

    held = judged(small)
    assert isinstance(held, Quarantine)
    assert (held.code, "element_bytes_min" in held.detail) == ("too_complex", True)
    assert isinstance(judged(small, Limits(element_bytes_min=8)), InstanceValidated)
    assert {one.kind for one in derived(small).representations} >= {"thumbnail", "preview"}


@pytest.mark.parametrize(
    ("data", "limits", "named"),
    [
        (images.native(np.zeros((1, 4, 4), np.uint16)), Limits(elements_max=3), "elements_max"),
        (images.raw_file(hostile_data_sets.nesting(True)), Limits(), "depth_max"),
        (images.raw_file(hostile_data_sets.nesting(True)), Limits(elements_max=3), "elements_max"),
        (images.raw_file(b"\x08\x00\x05\x00CS\x00\x00" * 600_000), Limits(), "element_bytes_min"),
    ],
)
def test_the_limit_that_held_an_image_is_named(data: bytes, limits: Limits, named: str) -> None:
    held = judged(data, limits)

    assert isinstance(held, Quarantine)
    assert held.code == "too_complex"
    settings = [name for name in Limits.__struct_fields__ if name in held.detail]
    assert settings == [named]


def test_what_no_setting_lets_through_names_none_and_says_what_to_do() -> None:
    tags = b"".join(struct.pack("<HH2sH", 9, number, b"CS", 0) for number in range(30_000))

    held = judged(images.raw_file(tags))

    assert isinstance(held, Quarantine)
    assert held.code == "too_complex"
    assert "No setting raises this limit" in held.detail
    assert "release" in reason_of("too_complex").todo


@pytest.mark.parametrize("name", ["elements_max", "depth_max", "inflated_bytes_max"])
def test_what_a_site_may_let_through_is_what_all_behind_validate_read(name: str, tmp_path: Path) -> None:
    most = getattr(elements.Limits(), name.removesuffix("_max"))

    for value, fits in ((most, True), (most + 1, False)):
        config = tmp_path / f"{value}.toml"
        config.write_text(f"[validate]\nhttp_port = 1\n[validate.limits]\n{name} = {value}\n")
        if fits:
            assert getattr(load(config).section("validate", Settings).limits, name) == value
        else:
            with pytest.raises(ConfigError, match=name):
                load(config).section("validate", Settings)


def test_sequences_as_deep_as_a_site_may_allow_are_read() -> None:
    most = elements.Limits().depth
    deep = b""
    for _ in range(most):
        deep = functional_groups.ITEM + struct.pack("<I", len(deep)) + deep
        deep = struct.pack("<HH2s2xI", 0x0009, 0x1040, b"SQ", len(deep)) + deep
    whole = images.native(np.zeros((1, 8, 8), np.uint16))
    at = whole.index(b"\x10\x00\x10\x00PN")
    data = whole[:at] + struct.pack("<HH2sH2s", 9, 0x10, b"LO", 2, b"X ") + deep + whole[at:]

    held = judged(data)
    assert isinstance(held, Quarantine)
    assert "depth_max" in held.detail
    assert isinstance(judged(data, Limits(depth_max=most)), InstanceValidated)
    assert {one.kind for one in derived(data).representations} >= {"thumbnail", "preview"}


def test_a_deflated_image_that_was_let_through_has_pictures() -> None:
    """A site has raised `inflated_bytes_max`, or a person has released it."""
    large = images.native(np.zeros((80, 1024, 512), np.uint16), "deflated")

    held = judged(large)
    assert isinstance(held, Quarantine)
    assert {one.kind for one in derived(large).representations} >= {"thumbnail", "preview"}
