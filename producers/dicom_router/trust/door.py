"""The door: who comes in, from the connection to the association, and who is told to go, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
from streams.admission import Admission, Place
from streams.clock import Clock
from streams.networks import address_of
from streams.peers.peer import Why
from streams.peers.refusals import Kind, Refusals
from streams.peers.trust import Trust
from streams.titles import ae_title
from streams.tls.accepting import HandshakeFailed
from streams.tls.certificate import Certificate, certificate_of

_REJECTIONS: Final = {
    Why.CALLED_AE: CALLED_AE_TITLE_NOT_RECOGNIZED,
    Why.LIMIT: LOCAL_LIMIT_EXCEEDED,
}


@dataclass(frozen=True)
class Door:
    """Used from the threads of all connections, and of the ports. `ae_title` is our own."""

    ae_title: str
    trust: Trust
    admission: Admission
    refusals: Refusals
    clock: Clock

    def enter(self, address: str, *, secured: bool) -> Visit | None:
        """A connection's, or None where there is no room for it, which is counted and said."""
        is_stranger = not self.trust.expects(address, self.clock.now().date(), by_tls=secured)
        if (place := self.admission.connect(address, is_stranger=is_stranger)) is not None:
            return Visit(self, address, place, is_stranger=is_stranger)
        self.refusals.no_room(address, is_stranger=is_stranger)
        return None


class Visit:
    """One connection, with its place and that of its association. Used by its thread. `association` is an id for the
    log.

    Of a stranger, whom nothing could let in, just enough is read to tell it so.
    """

    def __init__(self, door: Door, address: str, place: Place, *, is_stranger: bool) -> None:
        self._door = door
        self.address = address
        self._place = place
        self._is_stranger = is_stranger
        self._certificate: Certificate | None = None
        self.association = ""

    def shake_hands(self, connection: TlsConnection) -> bool:
        """Whether the peer has a certificate that our authorities vouch for; whose it is, is asked later."""
        try:
            connection.await_hello()
            if self._is_stranger:
                # To them a handshake would cost us more than it costs them.
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

    def take(self, requested: Requested) -> Rejection | None:
        """How the association is rejected, or nothing: then it has a place (`upper_layer.association.Place`)."""
        if (why := self._judged(requested)) is None:
            return None
        metrics.ASSOCIATIONS_REFUSED.labels(why.value).inc()
        rejection = _REJECTIONS.get(why, CALLING_AE_TITLE_NOT_RECOGNIZED)
        self._door.refusals.note(
            Kind("association.refused", ae_title(requested.calling_ae), self.address, why.value),
            why.sentence,
            rejection="/".join(map(str, rejection)),
            called_ae=ae_title(requested.called_ae),
        )
        return rejection

    def give_back(self) -> None:
        """The association is over, if there was one. May be said twice."""
        self._place.dissociate()

    def leave(self) -> None:
        """The connection is closed. Said once."""
        self._place.leave()

    def _judged(self, requested: Requested) -> Why | None:
        title, most = "", None
        if (peers := self._door.trust.peers) is not None:
            if requested.called_ae.strip(" ") != self._door.ae_title:
                return Why.CALLED_AE
            today = self._door.clock.now().date()
            peer = peers.judge(requested.calling_ae, address_of(self.address), self._certificate, today)
            if isinstance(peer, Why):
                return peer
            title, most = peer.ae_title, peer.associations_max
            if self._certificate is not None:
                self._door.trust.saw(peer.ae_title, self._certificate.ends_at)
        return None if self._place.associate(title, most) else Why.LIMIT

    def _no_handshake(self, result: str, sentence: str) -> bool:
        metrics.TLS_HANDSHAKES.labels(result).inc()
        self._door.refusals.no_handshake(self.address, result, sentence)
        return False
