"""The peers file: what it may say, where its errors point, and whom it lets in."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from radstream.__main__ import cli
from streams.config import ConfigError
from streams.networks import address_of
from streams.peers.peer import Peer, Peers, Why
from streams.peers.reading import PeersWrong, read_peers
from streams.tls.certificate import Certificate

PRINT = "ab" * 32
WHOLE = f"""\
# Everybody who may send.
[[peer]]
ae_title = "CT1"
addresses = ["10.20.3.0/24", "2001:db8:20::/48"]
common_name = "ct1.example"
associations_max = 4
lane = "stat"

[[peer]]
ae_title = " MR 1 "
addresses = ["10.20.4.1"]
fingerprints = ["{PRINT.upper()}", "{":".join(["CD"] * 32)}"]
[peer.plain]
address = "10.20.4.1"
until = 2027-03-31

[[peer]]
ae_title = "LOCAL"
addresses = ["127.0.0.1", "::1"]
"""
TODAY = date(2027, 3, 31)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "peers.toml"
    path.write_text(WHOLE, encoding="utf-8")
    return path


@pytest.fixture
def peers(file: Path) -> Peers:
    return read_peers(file)


def certificate(common_name: str = "ct1.example", fingerprint: str = "00" * 32) -> Certificate:
    return Certificate(common_name, fingerprint, datetime(2030, 1, 1, tzinfo=UTC))


def judged(peers: Peers, title: str, address: str, shown: Certificate | None = None, today: date = TODAY) -> str | Why:
    found = peers.judge(title, ip_address(address), shown, today)
    return found.ae_title if isinstance(found, Peer) else found


def test_a_whole_file_is_read(peers: Peers) -> None:
    assert list(peers.by_title) == ["CT1", "MR 1", "LOCAL"]
    assert peers.by_title["CT1"].associations_max == 4
    assert peers.by_title["MR 1"].fingerprints == {PRINT, "cd" * 32}
    assert peers.lanes == {"CT1": "stat"}


@pytest.mark.parametrize(
    ("title", "address", "shown", "found"),
    [
        ("CT1", "10.20.3.255", certificate(), "CT1"),
        ("CT1             ", "2001:db8:20:1::7", certificate(), "CT1"),
        ("ct1", "10.20.3.1", certificate(), Why.CALLING_AE),
        ("CT1\0", "10.20.3.1", certificate(), Why.CALLING_AE),
        ("", "10.20.3.1", certificate(), Why.CALLING_AE),
        ("CT1", "10.20.4.0", certificate(), Why.ADDRESS),
        ("CT1", "2001:db8:21::1", certificate(), Why.ADDRESS),
        ("CT1", "10.20.3.1", certificate("CT1.example"), Why.CERTIFICATE),
        ("CT1", "10.20.3.1", certificate(""), Why.CERTIFICATE),
        ("CT1", "10.20.3.1", None, Why.PLAIN),
        ("CT1", "10.9.9.9", None, Why.ADDRESS),
        ("MR 1", "10.20.4.1", certificate("anything", PRINT), "MR 1"),
        ("MR 1", "10.20.4.1", certificate("MR 1"), Why.CERTIFICATE),
        ("MR 1", "10.20.4.1", None, "MR 1"),
        ("LOCAL", "127.0.0.1", None, "LOCAL"),
        ("LOCAL", "::1", None, "LOCAL"),
        ("LOCAL", "10.20.3.1", None, Why.ADDRESS),
        ("LOCAL", "127.0.0.1", certificate(), Why.CERTIFICATE),
    ],
)
def test_who_may_send(peers: Peers, title: str, address: str, shown: Certificate | None, found: str | Why) -> None:
    assert judged(peers, title, address, shown) == found


def test_an_exception_is_over_with_its_day(peers: Peers) -> None:
    assert judged(peers, "MR 1", "10.20.4.1", today=date(2027, 4, 1)) is Why.EXCEPTION_ENDED
    assert judged(peers, "MR 1", "10.20.4.1", certificate("", PRINT), date(2027, 4, 1)) == "MR 1"


def test_an_ipv4_peer_at_an_ipv6_socket_is_an_ipv4_peer(peers: Peers) -> None:
    assert judged(peers, "CT1", str(address_of("::ffff:10.20.3.9")), certificate()) == "CT1"
    assert address_of("fe80::1%eth0") == ip_address("fe80::1")


@given(title=st.text(max_size=20), name=st.text(max_size=20), address=st.ip_addresses())
def test_nobody_else_is_ever_let_in_by_tls(title: str, name: str, address: object) -> None:
    peers = Peers({"CT1": Peer("CT1", (), common_name="ct1.example")})
    assert isinstance(peers.judge(title, address_of(str(address)), certificate(name), TODAY), Why)


WRONG = {
    "ae_title = 7": (2, "ae_title: Expected `str`, got `int`"),
    'ae_title = "SEVENTEEN LETTERS"': (2, "length <= 16"),
    'ae_title = "A\\\\B"': (2, "matching regex"),
    'addresses = ["10.20.3.1/24"]': (3, "write 10.20.3.0/24, or the address alone"),
    'addresses = ["ct1.example"]': (3, "ct1.example is no address and no network"),
    "addresses = []": (3, "length >= 1"),
    'addresses = ["10.0.0.1", 7]': (3, "addresses[1]: Expected `str`"),
    'common_name = ""': (4, "common_name: Expected `str` of length >= 1"),
    'common_name = "a"\nfingerprints = ["' + PRINT + '"]': (5, "by its common_name or by fingerprints"),
    'fingerprints = ["AB:CD"]': (4, "openssl x509"),
    'plain = {address = "10.0.0.0/8", until = 2027-01-01}': (4, "is not one address"),
    'plain = {address = "10.9.9.9", until = 2027-01-01}': (4, "its address is not one of addresses"),
    'plain = {address = "10.0.0.1"}': (4, "until is missing"),
    'plain = {address = "10.0.0.1", until = "soon"}': (4, "plain.until: Invalid RFC3339"),
    'plain = {address = "10.0.0.1", until = 2027-01-01, forever = true}': (4, "there is no forever"),
    'common_nmae = "a"': (4, "there is no common_nmae"),
    'lane = "fast"': (4, "lane: Invalid enum value 'fast'"),
    "associations_max = 0": (4, ">= 1"),
    "": (2, "nothing proves who it is"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_points_at_its_line(tmp_path: Path, wrong: str) -> None:
    lines = {"ae_title": 'ae_title = "CT1"', "addresses": 'addresses = ["10.0.0.1"]'}
    key = wrong.partition(" ")[0]
    rest = "" if key in lines else wrong
    if key in lines:
        lines[key] = wrong
        rest = 'common_name = "ct1.example"'
    path = tmp_path / "peers.toml"
    path.write_text("\n".join(("[[peer]]", *lines.values(), rest)), encoding="utf-8")
    line, said = WRONG[wrong]
    with pytest.raises(PeersWrong) as raised:
        read_peers(path)
    (problem,) = raised.value.problems
    assert problem.line == line
    assert said in problem.text
    assert str(raised.value).startswith(f"{path}:{line}: [[peer]]")


@pytest.mark.parametrize("days", [729, 740])
def test_an_exception_ends_within_two_years(tmp_path: Path, days: int) -> None:
    until = datetime.now(UTC).date() + timedelta(days=days)
    path = tmp_path / "peers.toml"
    path.write_text(
        f'[[peer]]\nae_title = "OLD"\naddresses = ["10.0.0.1"]\nplain = {{ address = "10.0.0.1", until = {until} }}\n',
        encoding="utf-8",
    )
    if days < 730:
        assert read_peers(path).by_title["OLD"].plain is not None
        return
    with pytest.raises(PeersWrong, match=r"peers\.toml:4: \[\[peer\]\] OLD: plain: .*two years"):
        read_peers(path)


def test_every_error_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(
        'sites = 3\n[[peer]]\nae_title = "A"\naddresses = ["127.0.0.1"]\n\n[[peer]]\naddresses = ["x"]\n'
        'ae_title = "B"\n\n[[peer]]\nae_title = "A"\naddresses = ["::1"]\n[peer.plain]\naddress = "::2"\n',
        encoding="utf-8",
    )
    with pytest.raises(PeersWrong) as raised:
        read_peers(path)
    assert [problem.line for problem in raised.value.problems] == [1, 7, 11]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[[peer]]\nae_title = CT1\n", 2, "not TOML"),
        ("[peer]\nae_title = 'CT1'\n", 1, r"two brackets: [[peer]]"),
        ("peer = 3", 1, "two brackets"),
        ("[[peers]]\nae_title = 'CT1'\n", 1, "nothing reads peers"),
    ],
)
def test_what_is_no_peers_file_is_said(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PeersWrong) as raised:
        read_peers(path)
    assert raised.value.problems[0].line == line
    assert said in raised.value.problems[0].text


def test_a_file_without_peers_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "peers.toml"
    path.write_text("# nobody yet\n", encoding="utf-8")
    assert read_peers(path).by_title == {}


def test_a_file_that_is_absent_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: the peers file cannot be read"):
        read_peers(tmp_path / "absent.toml")


# The commands.


def test_the_command_checks_a_file(file: Path) -> None:
    run = CliRunner().invoke(cli, ["peers", "check", str(file)])
    assert run.exit_code == 0
    assert "3 peers, 2 by certificate" in run.stdout


def test_the_command_says_what_is_wrong_with_its_line(file: Path) -> None:
    file.write_text(WHOLE.replace("associations_max = 4", "associations_max = -4"), encoding="utf-8")
    run = CliRunner().invoke(cli, ["peers", "check", str(file)])
    assert isinstance(run.exception, PeersWrong)
    assert str(run.exception).startswith(f"{file}:6: [[peer]] CT1: associations_max:")


def test_the_command_names_who_may_not_send_any_more(file: Path) -> None:
    file.write_text(
        '[[peer]]\nae_title = "OLD"\naddresses = ["10.0.0.1"]\nplain = { address = "10.0.0.1", until = 2020-01-01 }\n',
        encoding="utf-8",
    )
    run = CliRunner().invoke(cli, ["peers", "check", str(file)])
    assert "its exception has ended, it may not send: OLD" in run.stdout


def configured(folder: Path, *lines: str) -> Path:
    path = folder / "radstream.toml"
    path.write_text("\n".join(("[router]", "http_port = 1", "port = 2", *lines)), encoding="utf-8")
    return path


def test_the_list_says_who_may_send_how_and_until_when(file: Path) -> None:
    config = configured(file.parent, 'host = "0.0.0.0"', 'peers = "peers.toml"')
    run = CliRunner().invoke(cli, ["peers", "list", "--config", str(config), "--json"])
    assert run.exit_code == 0, run.exception
    said = json.loads(run.stdout)
    assert said["file"] == str(file)
    by_title = {peer["ae_title"]: peer for peer in said["peers"]}
    assert by_title["CT1"]["common_name"] == "ct1.example"
    assert (by_title["CT1"]["tls"], by_title["CT1"]["plain"]) == (True, False)
    assert by_title["MR 1"]["plain_until"] == "2027-03-31"
    assert (by_title["LOCAL"]["tls"], by_title["LOCAL"]["plain"]) == (False, True)

    table = CliRunner().invoke(cli, ["peers", "list", "--config", str(config)]).stdout
    assert "CN=ct1.example" in table
    assert "10.20.4.1, " in table
    assert "There is no [router.tls]" in table


def test_the_list_says_that_anybody_on_this_machine_may_send(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["peers", "list", "--config", str(configured(tmp_path)), "--json"])
    assert json.loads(run.stdout)["anybody_on_this_machine"] is True
