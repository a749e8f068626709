"""Where Triton cannot run, the stack goes on without it, and a person is told what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.tools import triton


@pytest.fixture
def fresh() -> Iterator[None]:
    triton.is_usable.cache_clear()
    yield
    triton.is_usable.cache_clear()


@pytest.mark.usefixtures("fresh")
@pytest.mark.skipif(not triton.stub().is_file(), reason="no Triton was installed on this machine")
def test_a_user_without_shared_memory_has_a_stack_without_triton(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton, "SHARED", tmp_path / "nobody-may-write-here")
    said: list[str] = []
    triton.ensure(said.append)
    assert not triton.is_usable()
    assert len(said) == 1
    assert said[0].startswith("without a Triton server, so no deployment on it: this user may not write in ")
