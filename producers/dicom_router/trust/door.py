"""The door: who comes in, from the connection to the association, and who is told to go, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from producers.dicom_router.admission import Admission
from producers.dicom_router.trust.current import Trust
from producers.dicom_router.trust.refusals import Kind, Refusals
from producers.dicom_router.upper_layer.associate_rq import Requested
from producers.dicom_router.upper_layer.connection import Closed, Expired
from producers.dicom_router.upper_layer.pdu import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    Rejection,
)
from producers.dicom_router.upper_layer.tls_connection import TlsConnection
from streams import metrics
from streams.clock import Clock
from streams.networks import address_of
from streams.peers.peer import Why
from streams.titles import ae_title
from streams.tls.accepting import HandshakeFailed
from streams.tls.certificate import Certificate, certificate_of

_REJECTIONS: Final = {
    Why.CALLED_AE: CALLED_AE_TITLE_NOT_RECOGNIZED,
    Why.LIMIT: LOCAL_LIMIT_EXCEEDED,
}
_NOBODY_YET: Final = "?"


@dataclass(frozen=True)
class Door:
    """Used from the threads of all connections. `ae_title` is our own."""

    ae_title: str
    trust: Trust
    admission: Admission
    refusals: Refusals
    clock: Clock

    def visit(self, address: str) -> Visit:
        return Visit(self, address)


class Visit:
    """One connection, and its place among the associations. Used by its thread. `association` is an id for the log."""

    def __init__(self, door: Door, address: str) -> None:
        self._door = door
        self._address = address
        self._certificate: Certificate | None = None
        self._title = ""
        self._has_place = False
        self.association = ""

    def shake_hands(self, connection: TlsConnection) -> bool:
        """Whether the peer has a certificate that our authorities vouch for; whose it is, is asked later."""
        try:
            connection.await_hello()
            if not self._is_expected():
                return self._no_handshake("address", "no peer in the peers file has this address and a certificate")
            certificate = certificate_of(connection.handshake())
        except HandshakeFailed as failed:
            return self._no_handshake(failed.kind, failed.why)
        except Closed:
            # Nobody was refused: a probe that looks whether somebody listens, or a peer that thought better of it.
            metrics.TLS_HANDSHAKES.labels("closed").inc()
            return False
        except Expired:
            return self._no_handshake("expired", "its handshake was not done in [router] set_up_timeout_s")
        if certificate.ends_at < self._door.clock.now():
            # OpenSSL does not look again at the certificate of a session that it resumes.
            return self._no_handshake("certificate_expired", "its certificate has ended since it was here last")
        self._certificate = certificate
        metrics.TLS_HANDSHAKES.labels("done").inc()
        return True

    def _is_expected(self) -> bool:
        """Whether anybody may come from there: to all others a handshake would cost us more than it costs them."""
        peers = self._door.trust.peers
        return peers is not None and peers.expect(address_of(self._address))

    def take(self, requested: Requested) -> Rejection | None:
        """How the association is rejected, or nothing: then it has a place (`upper_layer.association.Place`)."""
        if (why := self._judged(requested)) is None:
            return None
        metrics.ASSOCIATIONS_REFUSED.labels(why.value).inc()
        rejection = _REJECTIONS.get(why, CALLING_AE_TITLE_NOT_RECOGNIZED)
        self._door.refusals.note(
            Kind("association.refused", ae_title(requested.calling_ae), self._address, why.value),
            why.sentence,
            rejection="/".join(map(str, rejection)),
            called_ae=ae_title(requested.called_ae),
        )
        return rejection

    def give_back(self) -> None:
        """The association is over, if there was one. May be said twice."""
        if self._has_place:
            self._has_place = False
            self._door.admission.dissociate(self._address, self._title)

    def _judged(self, requested: Requested) -> Why | None:
        most = None
        if (peers := self._door.trust.peers) is not None:
            if requested.called_ae.strip(" ") != self._door.ae_title:
                return Why.CALLED_AE
            today = self._door.clock.now().date()
            peer = peers.judge(requested.calling_ae, address_of(self._address), self._certificate, today)
            if isinstance(peer, Why):
                return peer
            self._title, most = peer.ae_title, peer.associations_max
            if self._certificate is not None:
                self._door.trust.saw(peer.ae_title, self._certificate.ends_at)
        self._has_place = self._door.admission.associate(self._address, self._title, most)
        return None if self._has_place else Why.LIMIT

    def _no_handshake(self, result: str, sentence: str) -> bool:
        metrics.TLS_HANDSHAKES.labels(result).inc()
        self._door.refusals.note(Kind("tls.refused", _NOBODY_YET, self._address, result), sentence)
        return False
