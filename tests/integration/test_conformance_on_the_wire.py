"""What docs/conformance.md says that our associations propose, and that the worklist accepts, as a peer sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from consumers.commitment.telling import Teller
from consumers.forward.peer import NotAccepted, Peer
from consumers.forward.ris import Ris
from radstream import committing
from radstream.dicom_peer import NoAssociation, associated
from radstream.migrating.listing import Listing, Series
from radstream.migrating.old_pacs import OldPacs
from radstream.migrating.relay import Relay
from streams import store_scu
from streams.attribute_lists import AttributeList
from streams.nodes import Node
from streams.ris import Settings
from streams.routes.rules import Destination
from streams.store_scu import Target
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.commitment_events import decided, requested
from tests.event_streams import Hospital, new_log
from tests.nodes import no_tls
from tests.statement import column, plainly, table
from tests.worklists import running_worklist

CT, J2K = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.90"
Proposal = tuple[str, tuple[str, ...]]


@dataclass
class Peered:
    """What the last association proposed, and who it said that it is."""

    port: int
    contexts: list[Proposal] = field(default_factory=list)
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    identity: tuple[str, str] = ("", "")
    length: int = 0

    def take(self, event: Any) -> None:
        asks = event.assoc.requestor
        proposed = asks.primitive.presentation_context_definition_list
        self.contexts = [(str(one.abstract_syntax), tuple(map(str, one.transfer_syntax))) for one in proposed]
        self.roles = {str(uid): (bool(one.scu_role), bool(one.scp_role)) for uid, one in asks.role_selection.items()}
        self.identity = str(asks.implementation_class_uid), str(asks.implementation_version_name)
        self.length = asks.maximum_length
        assert (asks.asynchronous_operations, asks.sop_class_extended, asks.user_identity) == ((1, 1), {}, None)


@pytest.fixture
def peer() -> Iterator[Peered]:
    """Takes nothing but Verification."""
    entity = AE(ae_title="PEER")
    entity.add_supported_context(Verification)
    seen = Peered(0)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, seen.take)])
    seen.port = server.socket.getsockname()[1]
    yield seen
    server.shutdown()


def node_of(peer: Peered) -> Node:
    return Node(ae_title="PEER", host="127.0.0.1", port=peer.port)


def told(peer: Peered, folder: Path) -> None:
    """A report of commitment."""
    nodes = folder / "nodes.toml"
    nodes.write_text(f'[ct-1]\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {peer.port}\n', encoding="utf-8")
    hospital = Hospital()
    Teller(nodes, no_tls(), 5.0, time.monotonic).tell(decided(hospital, requested(hospital, "2.25.7", ["1.2.3"])))


def forwarded(peer: Peered, folder: Path) -> None:
    to = Destination(ae_title="PEER", host="127.0.0.1", port=peer.port)
    Peer(to, no_tls()).store((CT, J2K), "1.2.3", lambda _: b"")


def told_of_a_step(peer: Peered, folder: Path) -> None:
    nodes = folder / "nodes.toml"
    nodes.write_text(f'[ris]\nae_title = "RIS"\nhost = "127.0.0.1"\nport = {peer.port}\n', encoding="utf-8")
    said = AttributeList("1.2.840.10008.1.2.1", b"")
    Ris(nodes, Settings(node="ris"), no_tls()).tell("created", "1.2.3", said)


def asked_to_commit(peer: Peered, folder: Path) -> None:
    with associated(node_of(peer), "RADSTREAM", [committing.CONTEXT], roles=[committing.SCU_ROLE]):
        pass


def found(peer: Peered, folder: Path) -> None:
    OldPacs(node_of(peer), "RADSTREAM").study("1.2.3")


def moved(peer: Peered, folder: Path) -> None:
    OldPacs(node_of(peer), "RADSTREAM").move("1.2.3", (), "RADSTREAM")


def gotten(peer: Peered, folder: Path) -> None:
    series = Series("1.2.3.4", frozenset(["1.2.3.4.5"]), 1, frozenset([CT]))
    relay = Relay(OldPacs(node_of(peer), "RADSTREAM"), Target("NONE", "127.0.0.1", 1), "RADSTREAM")
    relay.get(Listing("1.2.3", (series,)), ())


def said(section: str, row: int = 0) -> tuple[str, str]:
    """UID and transfer syntaxes of a row; 'the same' are those of the first."""
    rows = table(section)
    same = rows[row][2] == "the same"
    return rows[row][1], rows[0][2] if same else rows[row][2]


@pytest.mark.parametrize(
    ("ask", "section", "row"),
    [
        (told, "7.2.2", 0),
        (told_of_a_step, "7.2.5", 0),
        (asked_to_commit, "7.2.7", 0),
        (found, "7.2.6", 0),
        (moved, "7.2.6", 1),
        (gotten, "7.2.6", 2),
    ],
)
def test_contexts_are_proposed_as_they_are_said(
    ask: Callable[[Peered, Path], None], section: str, row: int, peer: Peered, tmp_path: Path
) -> None:
    with suppress(NoAssociation, store_scu.NoAssociation):
        ask(peer, tmp_path)
    uid, syntaxes = said(section, row)
    mine = [one for proposed, several in peer.contexts if proposed == uid for one in several]
    assert ", ".join(map(plainly, mine)) == syntaxes.removeprefix("a context each: ")
    if ask is asked_to_commit:
        assert peer.roles == {uid: (True, False)}
    if ask is told:
        assert peer.roles == {uid: (False, True)}
    if ask is gotten:
        assert peer.roles == {CT: (False, True)}
        assert peer.contexts[1:] == [(CT, (one,)) for one in column("| transfer syntax of C-GET", 1)]
    assert peer.identity == (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
    assert str(peer.length) == table("7.1.2")[0][3]


def test_forwarding_proposes_a_context_for_each_transfer_syntax(peer: Peered, tmp_path: Path) -> None:
    with suppress(NotAccepted):
        forwarded(peer, tmp_path)
    assert [(uid, *map(plainly, syntaxes)) for uid, syntaxes in peer.contexts] == [
        (CT, plainly(J2K)),
        (CT, "Explicit VR Little Endian"),
        (CT, "Implicit VR Little Endian"),
    ]
    assert peer.identity == (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)


def test_the_worklist_accepts_what_is_said() -> None:
    rows = table("7.2.3")
    with running_worklist(new_log(), Hospital()) as worklist:
        for _, uid, *_ in rows:
            entity = AE(ae_title="CT1")
            for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"):
                entity.add_requested_context(uid, syntax)
                entity.add_requested_context(CT, syntax)
            association = entity.associate(worklist.host, worklist.port, ae_title="RADSTREAM")
            names = [plainly(str(one.transfer_syntax[0])) for one in association.accepted_contexts]
            assert {str(one.abstract_syntax) for one in association.accepted_contexts} == {uid}
            assert ", ".join(names) == rows[0][2]
            assert str(association.acceptor.maximum_length) == table("7.1.2")[0][2]
            assert association.acceptor.implementation_class_uid == IMPLEMENTATION_CLASS_UID
            association.release()
