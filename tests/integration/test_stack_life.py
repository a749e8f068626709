"""The stack's life: up, up again, a crash, down."""

from __future__ import annotations

import pytest

from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack


def test_up_again_starts_nothing_and_changes_nothing(stack: RunningStack) -> None:
    before = stack.running()
    written = stack.config_path.read_bytes()
    assert stack.up() == ()
    assert stack.running() == before
    assert stack.config_path.read_bytes() == written
