"""A router with a peers file and TLS, and peers that come to it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import REGISTRY
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from producers.dicom_router.trust.config import Tls
from streams.store_scu import Target
from tests.certificates import Authority, Identity, client_context
from tests.raw_peer import RawPeer, associate_rq
from tests.routers import CT, EXPLICIT, Router, running_router

CALLING_AE_NOT_RECOGNIZED, CALLED_AE_NOT_RECOGNIZED, LOCAL_LIMIT = (1, 1, 3), (1, 1, 7), (2, 3, 2)
LOOPBACK = '["127.0.0.0/8", "::1"]'


@dataclass
class Hospital:
    """Its authority, the router's files, and what is in them. `peers` may be written anew."""

    folder: Path
    authority: Authority
    ours: Identity
    peers: Path
    tls: Tls

    def scanner(self, common_name: str = "ct1.example", **options: object) -> Identity:
        return self.authority.issue(common_name, **options)

    def write_peers(self, *entries: str) -> None:
        self.peers.write_text("\n".join(f"[[peer]]\n{entry}\n" for entry in entries), encoding="utf-8")

    @contextmanager
    def router(self, **settings: object) -> Iterator[Router]:
        with running_router(peers=self.peers, tls=self.tls, **settings) as router:
            yield router


def hospital(folder: Path, *entries: str) -> Hospital:
    """`entries` are the peers, as TOML; CT1 with its certificate where none is given."""
    authority = Authority(folder)
    ours = authority.issue("router.example")
    tls = Tls(port=0, certificate=ours.certificate_file, key=ours.key_file, ca=authority.file)
    made = Hospital(folder, authority, ours, folder / "peers.toml", tls)
    made.write_peers(*(entries or (known("CT1", 'common_name = "ct1.example"'),)))
    return made


def known(ae_title: str, *lines: str, addresses: str = LOOPBACK) -> str:
    return "\n".join((f'ae_title = "{ae_title}"', f"addresses = {addresses}", *lines))


def associate(
    target: Target, calling_ae: str = "CT1", context: ssl.SSLContext | None = None, called_ae: str = "RADSTREAM"
) -> Association:
    """pynetdicom's, established or not."""
    entity = AE(ae_title=calling_ae)
    entity.add_requested_context(Verification)
    entity.add_requested_context(CT, EXPLICIT)
    entity.acse_timeout = entity.network_timeout = entity.dimse_timeout = entity.connection_timeout = 60
    options = {} if context is None else {"tls_args": (context, "router.example")}
    return entity.associate(target.host, target.port, ae_title=called_ae, **options)


def echoes(
    target: Target, calling_ae: str = "CT1", context: ssl.SSLContext | None = None, called_ae: str = "RADSTREAM"
) -> bool:
    """Whether an association is accepted and C-ECHO answered; it is released then."""
    association = associate(target, calling_ae, context, called_ae)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status.get("Status") == 0)


def rejection(
    target: Target,
    calling_ae: str = "CT1",
    context: ssl.SSLContext | None = None,
    called_ae: str = "RADSTREAM",
    source: str = "127.0.0.1",
) -> tuple[int, ...]:
    """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    asked = associate_rq().replace(b"PEER".ljust(16), calling_ae.encode().ljust(16))
    with RawPeer(target, source) as peer:
        if context is not None:
            peer.socket = context.wrap_socket(peer.socket)
        peer.send(asked.replace(b"RADSTREAM".ljust(16), called_ae.encode().ljust(16)))
        answer = peer.read()
        assert answer is not None, "the connection was closed"
        assert answer.kind == 3, answer
        assert peer.is_closed()
        return tuple(answer.body[1:4])


def trusted(made: Hospital, identity: Identity | None) -> ssl.SSLContext:
    return client_context(made.authority.file, identity)


def handshakes(result: str) -> float:
    return REGISTRY.get_sample_value("radstream_tls_handshakes_total", {"result": result}) or 0.0


def secured(router: Router) -> Target:
    assert router.secured is not None
    return router.secured


def audited(router: Router) -> list[tuple[str, str, str]]:
    """Action, actor and why, of everything that was refused so far."""
    router.refusals.publish(all_of_it=True)
    return [(event.action, event.actor, event.attributes["why"]) for event in router.audited()]


@contextmanager
def shaken(router: Router, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A TLS connection to the router, no more."""
    target = secured(router)
    with socket.create_connection((target.host, target.port), 60) as plain, context.wrap_socket(plain) as done:
        yield done
