"""What [router] and [router.stow] refuse, and what they say to write instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from producers.dicom_router.config import Settings
from streams.config import ConfigError, load

ROUTER = "[router]\nhttp_port = 0\nport = 0\n"
STOW = f"{ROUTER}[router.stow]\nport = 0\n"
TODAY = datetime.now(UTC).date()
OPEN = f'{STOW}host = "0.0.0.0"\n'
EXCEPTION = f'plain = [{{ address = "10.20.3.7", until = {TODAY + timedelta(days=90)} }}]\n'


def settings(folder: Path, text: str) -> Settings:
    path = folder / "radstream.toml"
    path.write_text(text, encoding="utf-8")
    return load(path).section("router", Settings)


@pytest.mark.parametrize(
    "text",
    [
        f"{ROUTER}associations_max = 32\nassociations_per_peer_max = 33",
        f"{STOW}requests_max = 32\nrequests_per_peer_max = 33",
    ],
    ids=["associations", "requests"],
)
def test_one_address_is_not_allowed_more_than_there_are(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"per_peer_max \(33\) is more than \w+_max \(32\)"):
        settings(tmp_path, text)


@pytest.mark.parametrize(
    ("all_max", "of_one"), [(1, 1), (2, 1), (32, 24), (64, 48), (500, 48)], ids=lambda number: str(number)
)
def test_one_address_leaves_room_for_others_where_nothing_is_said(tmp_path: Path, all_max: int, of_one: int) -> None:
    assert settings(tmp_path, f"{ROUTER}associations_max = {all_max}").of_one_address_max == of_one


def test_a_site_with_one_sender_may_give_it_all(tmp_path: Path) -> None:
    assert settings(tmp_path, f"{ROUTER}associations_max = 8\nassociations_per_peer_max = 8").of_one_address_max == 8


@pytest.mark.parametrize(("all_max", "of_one"), [(1, 1), (8, 6), (16, 12), (64, 12)])
def test_so_it_is_for_stow(tmp_path: Path, all_max: int, of_one: int) -> None:
    stow = settings(tmp_path, f"{STOW}requests_max = {all_max}").stow
    assert stow is not None
    assert stow.of_one_address_max == of_one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OPEN, r"stow: host 0\.0\.0\.0 lets other machines in.*no TLS.*proxy.*plain = "),
        (f'{OPEN}addresses = ["0.0.0.0/0"]', "lets other machines in"),
        (f'{OPEN}{EXCEPTION}addresses = ["10.0.0.0/8"]', r"stow: addresses has 10\.0\.0\.0/8.*plain = "),
        (OPEN + EXCEPTION.replace("10.20.3.7", "10.20.3.0/24"), "is not one address"),
        (OPEN + EXCEPTION.replace(str(TODAY + timedelta(days=90)), "9999-12-31"), "two years"),
    ],
    ids=["host", "everybody", "network", "exception for many", "exception without end"],
)
def test_stow_without_tls_is_for_this_machine_and_for_exceptions_that_end(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(tmp_path, text)


@pytest.mark.parametrize("text", [STOW, OPEN + EXCEPTION, STOW + EXCEPTION])
def test_stow_on_loopback_or_with_an_exception_is_well(tmp_path: Path, text: str) -> None:
    assert settings(tmp_path, text).stow is not None
