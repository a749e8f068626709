"""Which copies count as independent: what a site has to say of its stores before commitment promises on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from consumers.commitment.places import of_stores
from streams.config import Config, ConfigError, load

STORE = '[store]\nendpoint = "http://127.0.0.1:1"\nbuckets = {hot = "h", warm = "w", backup = "b"}\n'
ONE = "[copies]\nin_one_place = true\n"
REST = (
    '[site]\ntenant = "t"\nsite = "s"\n[kafka]\nbootstrap = "127.0.0.1:1"\n'
    '[commitment]\nhttp_port = 0\ndsn = "postgresql://127.0.0.1:1/x"\n'
)


def said(folder: Path, text: str) -> Config:
    (folder / "radstream.toml").write_text(STORE + text, encoding="utf-8")
    return load(folder / "radstream.toml")


def test_buckets_of_one_endpoint_are_one_place_until_the_site_says_otherwise(tmp_path: Path) -> None:
    config = said(tmp_path, "")
    assert set(of_stores(config, 1).values()) == {""}
    with pytest.raises(ConfigError, match=r"copies in 2 places, and the stores are in 1 .* \[copies.places\]"):
        of_stores(config, 2)


def test_what_lies_elsewhere_is_named_and_the_others_are_together(tmp_path: Path) -> None:
    config = said(tmp_path, '[copies.places]\nbackup = "building B"\n')
    assert of_stores(config, 2) == {"hot": "", "warm": "", "backup": "building B"}
    with pytest.raises(ConfigError, match="in 3 places, and the stores are in 2"):
        of_stores(config, 3)


@pytest.mark.parametrize("promised", [2, 3])
def test_where_the_originals_are_named_whoever_is_forgotten_is_no_place_of_its_own(
    tmp_path: Path, promised: int
) -> None:
    config = said(tmp_path, '[copies.places]\nhot = "A"\nbackup = "B"\n')
    with pytest.raises(ConfigError, match=r"\[copies.places\] names hot and not warm: .* every store"):
        of_stores(config, promised)
    config = said(tmp_path, '[copies.places]\nhot = "A"\nwarm = "A"\nbackup = "B"\n')
    assert set(of_stores(config, 2).values()) == {"A", "B"}


def test_a_stack_that_only_shows_counts_its_buckets(tmp_path: Path) -> None:
    assert of_stores(said(tmp_path, ONE), 3) == {"hot": "hot", "warm": "warm", "backup": "backup"}


def test_the_service_does_not_start_with_a_promise_that_it_cannot_keep(tmp_path: Path) -> None:
    """Before it waits for anything: a person sees why at once."""
    config = said(tmp_path, REST)
    done = subprocess.run(
        [sys.executable, "-m", "consumers.commitment", "--config", str(config.path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "[commitment] promises copies in 2 places" in done.stderr
