"""What a stack sets up once its servers answer."""

from __future__ import annotations

from pathlib import Path

import pytest

import streams.registry
from infra.local import settings_file, setup
from infra.local.errors import StackError
from infra.local.parts.part import Site
from infra.local.state import Secrets, State
from streams.registry import RegistryAway, RegistryRefused
from streams.schema_ids import read_ids

IDS = {("imaging.audit.event", 1): 7}


def site(home: Path) -> Site:
    secrets = Secrets(**dict.fromkeys(Secrets.__struct_fields__, "s"))
    return Site(home, State(1, "c", ("d",), {"registry": 1}, secrets), lambda _: None)


def pausing(monkeypatch: pytest.MonkeyPatch, times: int, error: Exception) -> list[str]:
    """A registry that does not answer so many times; who asked it."""
    asked: list[str] = []

    def register(url: str) -> dict[tuple[str, int], int]:
        asked.append(url)
        if len(asked) <= times:
            raise error
        return IDS

    monkeypatch.setattr(streams.registry, "register", register)
    monkeypatch.setattr(setup, "REGISTERED_PAUSE_S", 0.0)
    return asked


def test_a_registry_that_pauses_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was one pause of ten seconds, and a stack that was about to be up did not come up."""
    pausing(monkeypatch, 2, RegistryAway("no answer"))
    setup._schemas(site(tmp_path))
    assert read_ids(tmp_path / settings_file.SCHEMA_IDS).ids == IDS


@pytest.mark.parametrize(
    ("error", "tries"), [(RegistryAway("no answer"), setup.REGISTERED_TRIES), (RegistryRefused("a break"), 1)]
)
def test_one_that_stays_away_or_refuses_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    asked = pausing(monkeypatch, 99, error)
    with pytest.raises(StackError, match=f"could not be registered: {error}"):
        setup._schemas(site(tmp_path))
    assert len(asked) == tries
