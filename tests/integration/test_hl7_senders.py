"""Who may send orders without TLS: this machine, and addresses with an exception that ends; read again."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from producers.orders.config import Settings
from streams.config import ConfigError, load
from streams.networks import address_of
from streams.peers.peer import Why
from tests.hl7_messages import OMI
from tests.listeners import Running, running_listener


def written(folder: Path, *lines: str, host: str = "127.0.0.1") -> Path:
    file = folder / "radstream.toml"
    head = ("[orders]", "http_port = 0", "port = 0", f'host = "{host}"')
    file.write_text("\n".join((*head, *lines, "")), encoding="utf-8")
    return file


def exception(until: date, address: str = "127.0.0.1") -> str:
    return f'plain = [{{ address = "{address}", until = {until} }}]'


def answered(listener: Running) -> bool:
    try:
        return bool(listener.send(OMI))
    except ConnectionError:
        return False


def read_again(listener: Running) -> None:
    listener.door.look()
    listener.door.look()


@pytest.mark.parametrize("lines", [(), ('addresses = ["10.20.0.0/16"]',), ('addresses = ["10.20.0.7", "0.0.0.0/0"]',)])
def test_no_setting_lets_other_machines_in_without_tls_and_without_an_end(
    tmp_path: Path, lines: tuple[str, ...]
) -> None:
    """It was legal: orders with names, from networks, for ever."""
    file = written(tmp_path, *lines, host="0.0.0.0")  # noqa: S104
    with pytest.raises(ConfigError) as raised:
        load(file).section("orders", Settings)
    said = str(raised.value)
    assert "host 0.0.0.0 lets other machines in" in said
    assert "[orders.tls]" in said
    # What it says to write can be written.
    (line,) = re.findall(r"plain = \[.*\]", said)
    settings = load(written(tmp_path, line, host="0.0.0.0")).section("orders", Settings)  # noqa: S104
    assert [str(one.address) for one in settings.senders.exceptions] == [
        "10.20.0.7" if lines and "10.20.0.7" in lines[0] else "10.20.3.7"
    ]


def test_networks_of_other_machines_are_no_exceptions(tmp_path: Path) -> None:
    until = datetime.now(UTC).date() + timedelta(days=9)
    file = written(tmp_path, 'addresses = ["10.20.0.0/16"]', exception(until), host="0.0.0.0")  # noqa: S104
    with pytest.raises(ConfigError, match=r"addresses has 10\.20\.0\.0/16, of other machines.*plain = "):
        load(file).section("orders", Settings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('plain = [{ address = "10.0.0.0/8", until = 2027-01-01 }]', "10.0.0.0/8 is not one address"),
        ('plain = [{ address = "10.20.3.7" }]', "missing required field `until`"),
        ('plain = [{ address = "10.20.3.7", until = 9999-12-31 }]', "more than two years from now"),
    ],
)
def test_an_exception_is_for_one_address_and_ends(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(written(tmp_path, line)).section("orders", Settings)


def test_an_exception_ends_with_its_day_also_for_who_is_connected(tmp_path: Path) -> None:
    with running_listener(file=written(tmp_path, 'addresses = ["10.0.0.0/8"]')) as listener:
        assert not answered(listener)
        assert listener.audited() == [("connection.refused", "127.0.0.1", "address")]
        until = listener.clock.now().date() + timedelta(days=9)
        written(tmp_path, 'addresses = ["10.0.0.0/8"]', exception(until))
        read_again(listener)
        with listener.connection() as ris:
            assert ris.send(OMI)
            assert f"127.0.0.1 in [orders] ends on {until}" in listener.health.warnings()["ends"]
            # Longer, before it ends: whoever is there stays.
            written(tmp_path, 'addresses = ["10.0.0.0/8"]', exception(until + timedelta(days=90)))
            read_again(listener)
            assert "ends" not in listener.health.warnings()
            listener.clock.ahead_s = 10 * 86_400.0
            assert ris.send(OMI)
            listener.clock.ahead_s = 100 * 86_400.0
            assert ris.send(OMI) == []
        assert not answered(listener)
        assert listener.audited()[1:] == [("connection.refused", "127.0.0.1", "exception_ended")]
        assert len(listener.commands()) == 2


def test_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    until = datetime.now(UTC).date() + timedelta(days=90)
    with running_listener(file=written(tmp_path, 'addresses = ["10.0.0.0/8"]', exception(until))) as listener:
        written(tmp_path, exception(until, address="10.0.0.0/8"))
        read_again(listener)
        assert "radstream.toml:1: [orders] 10.0.0.0/8 is not one address" in listener.health.warnings()["senders"]
        assert answered(listener)
        written(tmp_path, 'addresses = ["10.0.0.0/8"]')
        read_again(listener)
        assert "senders" not in listener.health.warnings()
        assert not answered(listener)


def test_who_may_come_by_tls_may_not_come_without() -> None:
    """But for this machine: nobody listens on the way."""
    now = datetime.now(UTC)
    senders = Settings(http_port=0, port=0, addresses=("127.0.0.1", "10.20.0.0/16")).senders
    assert senders.refused(address_of("127.0.0.1"), now) is None
    assert senders.refused(address_of("10.20.3.7"), now) == Why.PLAIN
    assert senders.refused(address_of("10.21.3.7"), now) == Why.ADDRESS
    assert senders.refused_by_tls(address_of("10.20.3.7"), None, now) is None
    assert senders.refused_by_tls(address_of("10.21.3.7"), None, now) == Why.ADDRESS
