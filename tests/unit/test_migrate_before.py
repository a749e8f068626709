"""What `radstream migrate` says before it pulls anything: of dates, and of a router that would not let it in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from producers.dicom_router.config import Settings
from radstream.__main__ import cli
from radstream.errors import Failure
from radstream.migrating.allowed import check_relay
from streams.nodes import Node

OLD = Node(ae_title="OLDPACS", host="10.1.2.9", port=104)
SOON = datetime.now(UTC).date() + timedelta(days=30)


def migrate(folder: Path, *arguments: str) -> Result:
    """A site with an old PACS that is not asked."""
    (folder / "nodes.toml").write_text('[old]\nae_title = "OLDPACS"\nhost = "127.0.0.1"\nport = 9\n')
    (folder / "radstream.toml").write_text('[router]\nport = 11112\nhttp_port = 9101\nlanes = { OLDPACS = "bulk" }\n')
    return CliRunner().invoke(cli, ["migrate", "old", *arguments, "--config", str(folder / "radstream.toml")])


def test_dates_that_were_swapped_are_a_usage_error(tmp_path: Path) -> None:
    done = migrate(tmp_path, "--since", "2026-02-01", "--until", "2026-01-01")
    assert done.exit_code == 2
    assert "--since 2026-02-01 is after --until 2026-01-01" in done.stderr


@pytest.mark.parametrize(
    ("peer", "host", "said"),
    [
        ('addresses = ["10.1.2.9"]\ncommon_name = "pacs"', "0.0.0.0", 'addresses = ["127.0.0.1"]'),  # noqa: S104
        (f'addresses = ["10.1.2.9"]\nplain = {{ address = "10.1.2.9", until = {SOON} }}', "::", '["::1"]'),
        ('addresses = ["127.0.0.1"]', "10.9.9.9", 'plain = { address = "10.9.9.9"'),
        ('addresses = ["127.0.0.1"]', "0.0.0.0", None),  # noqa: S104
        (f'addresses = ["10.9.9.9"]\nplain = {{ address = "10.9.9.9", until = {SOON} }}', "10.9.9.9", None),
    ],
)
def test_by_c_get_the_peers_file_is_asked_for_this_machine(
    tmp_path: Path, peer: str, host: str, said: str | None
) -> None:
    (tmp_path / "peers.toml").write_text(f'[[peer]]\nae_title = "OLDPACS"\n{peer}\n')
    router = Settings(http_port=0, port=0, host=host, peers=tmp_path / "peers.toml")
    if said is None:
        check_relay(router, OLD)
        return
    with pytest.raises(Failure) as failed:
        check_relay(router, OLD)
    assert said in str(failed.value)
    assert "--get" in str(failed.value)


def test_by_c_get_the_peers_file_is_asked_before_the_run(tmp_path: Path) -> None:
    migrate(tmp_path)
    (tmp_path / "peers.toml").write_text(
        '[[peer]]\nae_title = "OLDPACS"\naddresses = ["10.1.2.9"]\ncommon_name = "p"\n'
    )
    with (tmp_path / "radstream.toml").open("a") as file:
        file.write('\n[router.tls]\nport = 2762\ncertificate = "c"\nkey = "k"\nca = "a"\n')
    text = (tmp_path / "radstream.toml").read_text().replace("[router]\n", '[router]\npeers = "peers.toml"\n')
    (tmp_path / "radstream.toml").write_text(text)
    run = ["migrate", "old", "--get", "--config", str(tmp_path / "radstream.toml")]
    assert "comes to the router from this machine" in str(CliRunner().invoke(cli, run).exception)
