"""Who comes in, from the connection to the association; and who is told to go, which is counted and audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pynetdicom import evt

from streams import metrics
from streams.admission import Admission, Place
from streams.clock import Clock
from streams.dimse.config import Listening
from streams.dimse.left import Left
from streams.health import Health
from streams.networks import address_of
from streams.peers.peer import Why
from streams.peers.refusals import Kind, Refusals
from streams.peers.trust import Trust
from streams.titles import ae_title
from streams.tls.certificate import Certificate

# Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 table 9-21): calling AE title not recognized.
_REJECTION: Final = (1, 1, 3)
# Local limit exceeded.
_REJECTIONS: Final = {Why.LIMIT: (2, 3, 2)}
# Those of pynetdicom itself: called AE title not recognized.
_ITS_OWN: Final = {(1, 1, 7): Why.CALLED_AE}


@dataclass(frozen=True)
class Door:
    """`look` is called about once a second, from one thread, and `close` at the end; everything else from any."""

    trust: Trust
    admission: Admission
    left: Left
    refusals: Refusals
    clock: Clock

    @property
    def has_peers(self) -> bool:
        """Else everybody on this machine may ask."""
        return self.trust.peers is not None

    def enter(self, address: str, *, by_tls: bool) -> Place | None:
        """The place of a connection, or None: of one that there is no room for, and by TLS of one from where nobody may
        come, to whom a handshake would cost us more than it costs them.
        """
        self.left.let_go()
        is_stranger = not self.trust.expects(address, self._today(), by_tls=by_tls)
        if is_stranger and by_tls:
            metrics.TLS_HANDSHAKES.labels(Why.ADDRESS.value).inc()
            sentence = "no peer in the peers file has this address and a certificate"
            self.refusals.no_handshake(address, Why.ADDRESS.value, sentence)
            return None
        place = self.admission.connect(address, is_stranger=is_stranger)
        if place is None:
            self.refusals.no_room(address, is_stranger=is_stranger)
        return place

    def look(self) -> None:
        self.trust.look()
        self.refusals.publish()

    def close(self) -> None:
        self.refusals.publish(all_of_it=True)

    def on_requested(self, event: evt.Event) -> None:
        """Bound to EVT_REQUESTED: rejects the association of who may not ask, and those that there is no room for.

        pynetdicom goes on where a handler of it raises, so whoever was not found to be a peer is rejected in any case.
        """
        association: Any = event.assoc
        why: Why | None = Why.CALLING_AE
        try:
            why = self._judged(association)
            if why is not None:
                self._refused(association, why, _REJECTIONS.get(why, _REJECTION))
        finally:
            if why is not None:
                association.acse.send_reject(*_REJECTIONS.get(why, _REJECTION))
                association.kill()

    def on_rejected(self, event: evt.Event) -> None:
        """Bound to EVT_REJECTED, which pynetdicom says of its own rejections."""
        association: Any = event.assoc
        said = association.acceptor.primitive
        rejection = (said.result, said.result_source, said.diagnostic)
        if (why := _ITS_OWN.get(rejection)) is not None:
            self._refused(association, why, rejection)

    def _judged(self, association: Any) -> Why | None:
        if (peers := self.trust.peers) is not None:
            calling_ae, address = association.requestor.primitive.calling_ae_title, association.requestor.address
            certificate: Certificate | None = association.dul.socket.certificate
            found = peers.judge(calling_ae, address_of(address), certificate, self._today())
            if isinstance(found, Why):
                return found
            if certificate is not None:
                self.trust.saw(found.ae_title, certificate.ends_at)
        return None if association.place.associate() else Why.LIMIT

    def _today(self) -> date:
        return self.clock.now().date()

    def _refused(self, association: Any, why: Why, rejection: tuple[int, int, int]) -> None:
        metrics.ASSOCIATIONS_REFUSED.labels(why.value).inc()
        asked = association.requestor.primitive
        self.refusals.note(
            Kind("association.refused", ae_title(asked.calling_ae_title), association.requestor.address, why.value),
            why.sentence,
            rejection="/".join(map(str, rejection)),
            called_ae=ae_title(asked.called_ae_title),
        )


def door_of(section: str, settings: Listening, health: Health, clock: Clock, refusals: Refusals) -> Door:
    """Raises ConfigError for files that cannot be used."""
    trust = Trust(f"{section}.tls", settings.peers, settings.tls, health, clock)
    admission = Admission(settings.associations_max, settings.of_one_address_max, service=section)
    return Door(trust, admission, Left(settings.set_up_timeout_s), refusals, clock)
