"""What `radstream modality test` finds between a scanner and a router, with the faults that sites have."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from producers.dicom_router.config import Settings
from producers.dicom_router.trust.config import Tls
from radstream import modality_checks, modality_store
from radstream.__main__ import cli
from radstream.checks.check import Check
from radstream.modality_checks import address_for, of_address, of_node, of_router
from radstream.modality_trust import Trust
from streams.nodes import Node
from tests.routers import Ct, running_router

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


@contextmanager
def scanner(entity: AE, handlers: Sequence[evt.EventHandlerType] = ()) -> Iterator[Node]:
    """Listens on loopback as SCANNER until the block ends."""
    entity.ae_title = "SCANNER"
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield Node(ae_title="SCANNER", host="127.0.0.1", port=server.server_address[1])
    finally:
        server.shutdown()


def entity(*storage: str) -> AE:
    made = AE()
    made.add_supported_context(Verification)
    for syntax in storage:
        made.add_supported_context(CTImageStorage, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", syntax])
    return made


def told(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_node_that_stores_says_what_and_in_which_transfer_syntaxes() -> None:
    with scanner(entity(JPEG_LOSSLESS)) as node:
        found = told(of_node(node, "RADSTREAM"))
    assert {check.state for check in found.values()} == {"well"}
    assert "1 of " in found["storage"].found
    assert "CT Image Storage in: JPEG Lossless" in found["storage"].found
    assert "JPEG Baseline" not in found["storage"].found


def test_a_scanner_that_stores_nothing_is_well() -> None:
    with scanner(entity()) as node:
        found = told(of_node(node, "RADSTREAM"))
    assert (found["C-ECHO"].state, found["storage"].state) == ("well", "note")


@pytest.mark.parametrize("refused", range(1, 5))
def test_a_node_that_refuses_one_association_is_tested_all_the_same(refused: int) -> None:
    """Of the four that the test opens: C-ECHO, two for the SOP classes, one for the transfer syntaxes."""
    picky, asked = entity(JPEG_LOSSLESS), itertools.count(1)

    def refuse(_: evt.Event) -> None:
        picky.require_calling_aet = ["SOMEBODY"] if next(asked) == refused else []

    with scanner(picky, [(evt.EVT_REQUESTED, refuse)]) as node:
        found = told(of_node(node, "RADSTREAM"))
    broken = found["C-ECHO" if refused == 1 else "storage"]
    assert broken.state == ("broken" if refused == 1 else "note")
    assert "does not know the calling AE title" in broken.found
    assert ("1 of " in broken.found) == (refused == 4)


def test_an_ae_title_that_the_node_does_not_know_is_named_for_its_console() -> None:
    picky = entity()
    picky.require_calling_aet = ["SOMEBODY"]
    with scanner(picky) as node:
        check = told(of_node(node, "RADSTREAM"))["C-ECHO"]
    assert (check.state, "RADSTREAM" in check.mend) == ("broken", True), check


def test_an_ae_title_of_the_node_that_is_wrong_is_said() -> None:
    strict = entity()
    strict.require_called_aet = True
    with scanner(strict) as node:
        wrong = Node(ae_title="scanner", host=node.host, port=node.port)
        check = told(of_node(wrong, "RADSTREAM"))["C-ECHO"]
    assert "not scanner" in check.found
    assert "capitals" in check.mend


def test_what_listens_there_and_is_no_dicom_is_waited_for_no_longer_than_need_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("radstream.dicom_peer.SET_UP_S_MAX", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = Node(ae_title="X", host="127.0.0.1", port=silent.getsockname()[1])
        found = told(of_node(node, "RADSTREAM"))
    assert (found["reach"].state, found["C-ECHO"].state) == ("well", "broken")
    assert "does not answer an association" in found["C-ECHO"].found


def test_a_scanner_that_only_sends_passes_once_an_image_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nodes.toml").write_text('[ct]\nae_title = "SCANNER"\nhost = "127.0.0.1"\nport = 9\n')
    with running_router() as router:
        monkeypatch.setattr(modality_store, "open_log", lambda _: router.log)
        config = tmp_path / "radstream.toml"
        config.write_text(f"[router]\nhttp_port = 0\nport = {router.target.port}\n")

        def test() -> tuple[int, dict[str, str]]:
            done = CliRunner().invoke(cli, ["modality", "test", "ct", "--json", "--config", str(config)])
            return done.exit_code, {one["name"]: one["state"] for one in json.loads(done.stdout)["checks"]}

        assert test() == (1, {"reach": "broken", "C-ECHO": "well", "images": "note"})
        router.send(Ct().item(), calling_ae="SCANNER")
        assert test() == (0, {"reach": "note", "C-ECHO": "well", "images": "well"})


def test_a_name_that_nobody_knows_is_told_from_a_node_that_is_off() -> None:
    unknown = Node(ae_title="X", host="no-such-host.invalid", port=104)
    assert "not known" in told(of_node(unknown, "RADSTREAM"))["reach"].found


def test_the_router_is_asked_under_the_name_of_the_node() -> None:
    with running_router() as router:
        settings = Settings(http_port=0, port=router.target.port)
        here = Node(ae_title="SCANNER", host="127.0.0.1", port=104)
        assert [(check.name, check.state) for check in of_router(here, settings)] == [("C-ECHO", "well")]
    assert list(of_address(here, settings)) == []
    far = Node(ae_title="SCANNER", host="10.1.2.3", port=104)
    (check,) = of_address(far, settings)
    assert (check.state, "[router]" in check.mend) == ("broken", True)


def test_a_router_that_does_not_run_is_said() -> None:
    off = Settings(http_port=0, port=1)
    check = told(of_router(Node(ae_title="SCANNER", host="127.0.0.1", port=104), off))["C-ECHO"]
    assert (check.part, check.state) == (modality_checks.ROUTER, "broken")
    assert "radstream status" in check.mend


def test_the_address_to_enter_is_that_on_the_way_to_the_node() -> None:
    node = Node(ae_title="SCANNER", host="127.0.0.1", port=104)
    open_ = Settings(http_port=0, port=104, host="10.9.8.7", peers=Path("peers.toml"))
    assert address_for(node, open_) == "10.9.8.7"
    everywhere = Settings(http_port=0, port=104, host="::", peers=Path("peers.toml"))
    assert address_for(node, everywhere) == "127.0.0.1"


PEERS = f"""
[[peer]]
ae_title = "CT1"
addresses = ["10.1.2.0/24"]
common_name = "ct1"

[[peer]]
ae_title = "XA7"
addresses = ["10.1.3.7"]
plain = {{ address = "10.1.3.7", until = {datetime.now(UTC).date() + timedelta(days=30)} }}

[[peer]]
ae_title = "OLD"
addresses = ["10.1.3.8"]
plain = {{ address = "10.1.3.8", until = 2020-01-01 }}

[[peer]]
ae_title = "HERE"
addresses = ["127.0.0.1"]
"""


@pytest.mark.parametrize(
    ("ae_title", "host", "state", "told", "port", "from_here"),
    [
        ("CT1", "10.1.2.3", "well", "by TLS, at port 2762", 2762, False),
        ("CT1", "10.9.9.9", "broken", "10.9.9.9 is not there", 2762, False),
        ("XA7", "10.1.3.7", "well", "without TLS", 104, False),
        ("OLD", "10.1.3.8", "broken", "has ended", 2762, False),
        ("MR1", "10.1.2.3", "broken", "No peer has the AE title MR1", 2762, False),
        ("HERE", "127.0.0.1", "well", "without TLS", 104, True),
    ],
)
def test_the_peers_file_is_asked_for_the_address_of_the_node(
    tmp_path: Path, ae_title: str, host: str, state: str, told: str, port: int, from_here: bool
) -> None:
    file = tmp_path / "peers.toml"
    file.write_text(PEERS, encoding="utf-8")
    tls = Tls(certificate=file, key=file, ca=file)
    router = Settings(http_port=0, port=104, host="::", peers=file, tls=tls)
    trust = Trust.of(Node(ae_title=ae_title, host=host, port=104), router)
    (check,) = trust.checks()
    assert (check.state, told in check.found) == (state, True), check
    assert (trust.port, trust.lets_this_machine) == (port, from_here)
