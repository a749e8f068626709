"""The check of the store beside a router that takes images already: however it ends, that is known."""

from __future__ import annotations

from typing import Any, cast

import pytest

from producers.dicom_router import store_check
from producers.dicom_router.store_check import Checking
from streams.config import ConfigError


@pytest.mark.parametrize("error", [ConfigError("the store cannot hold images"), KeyError("hot")])
def test_a_check_that_fails_is_no_check_that_goes_on_for_ever(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Until it has ended well, everything goes to the spool."""

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(store_check, "check_store", failing)
    well: list[bool] = []
    checking = Checking(cast(Any, None), "hot", lambda: well.append(True))
    with pytest.raises(type(error)):
        checking.wait(20.0)
    with pytest.raises(type(error)):
        checking.ask()
    assert not well
