"""Associations with other people's application entities, and in words what stood in the way (PS3.8 section 9.3.4)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from streams.nodes import Node
from streams.scu import Entity
from streams.tls.reaching import Secured

SET_UP_S_MAX: Final = 10.0
# (source, diagnostic) of an A-ASSOCIATE-RJ: what is wrong, and what to do about it.
_REJECTED: Final = {
    (1, 1): (
        "it rejects the association and gives no reason",
        "Look into its log; enter {calling} on it.",
    ),
    (1, 3): ("it does not know the calling AE title {calling}", "Enter AE title {calling} and our address on it."),
    (1, 7): ("it says that its AE title is not {called}", "Mend ae_title of the node; capitals count."),
    (3, 1): ("it is busy (temporary congestion)", "Wait, and try again."),
    (3, 2): ("it has as many associations as it takes", "Wait, or raise its limit, and try again."),
}


class NoAssociation(Exception):
    """The text says why, to whom; `mend` says what to do."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(why)
        self.mend = mend


class Silent(NoAssociation):
    """Nobody answers there: neither yes nor no."""


def quiet() -> None:
    """For commands, which say themselves what became of an association: pynetdicom would say it beside them."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


@contextmanager
def associated(
    node: Node,
    calling_ae: str,
    contexts: Sequence[PresentationContext],
    *,
    answer_s_max: float = SET_UP_S_MAX,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[evt.EventHandlerType] = (),
    secured: Secured | None = None,
) -> Iterator[Association]:
    """An association until the block ends: released, or aborted where the block raises. Raises NoAssociation.

    `answer_s_max` is how long each response may take, `secured` how TLS is done with the node (`Clients.of`).
    """
    # pynetdicom's own event logging would format every PDU, and identifiers in them.
    _config.LOG_HANDLER_LEVEL = "none"
    entity = Entity(calling_ae, secured)
    entity.connection_timeout = entity.acse_timeout = SET_UP_S_MAX
    entity.dimse_timeout, entity.network_timeout = answer_s_max, None
    try:
        association = entity.associate(
            node.host,
            node.port,
            contexts=list(contexts),
            ae_title=node.ae_title,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
        )
    except OSError:
        raise NoAssociation(f"the host name {node.host} is not known", "Mend host, or enter it in the DNS.") from None
    if not association.is_established:
        if entity.not_secured is not None:
            raise NoAssociation(entity.not_secured.why, entity.not_secured.mend)
        raise _refused(association, node, calling_ae)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    # Releases what is open, and ends the threads of what is not.
    association.release()
    association.abort()


def _refused(association: Association, node: Node, calling_ae: str) -> NoAssociation:
    answer: Any = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        known = _REJECTED.get((answer.result_source, answer.diagnostic))
        why, mend = known or (f"it rejects the association ({answer.reason_str})", "Look into its log.")
        return NoAssociation(
            why.format(calling=calling_ae, called=node.ae_title), mend.format(calling=calling_ae, called=node.ae_title)
        )
    if association.acceptor.primitive is not None:
        return NoAssociation(
            "it accepts none of the services that were asked for", "Switch on the service on it, or ask its vendor."
        )
    return Silent(
        f"{node.host}:{node.port} does not answer an association",
        "Look into its log: it may not accept our certificate or our AE title."
        if node.tls
        else "Check that it runs, host and port, the cable and the firewall; it may want TLS.",
    )
