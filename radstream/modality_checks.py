"""What can be known of a DICOM node from here: whether it answers, what it takes, and whether our router takes it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from producers.dicom_router.config import Settings as Router
from radstream.checks.check import Check, broken, note, well
from radstream.dicom_peer import NoAssociation, associated
from radstream.migrating.relay import TRANSFER_SYNTAXES
from streams.networks import is_loopback
from streams.nodes import Node
from streams.store_scu import CONTEXTS_MAX
from streams.tls.certificate import certificate_of
from streams.tls.ends import SOON
from streams.tls.reaching import NotSecured, Secured

NODE, ROUTER = "node", "router"
REACH: Final = "reach"
_REACH_S_MAX: Final = 5.0
# Verification beside them, which a node that stores nothing accepts.
_BATCH: Final = CONTEXTS_MAX - 1
_UNCOMPRESSED: Final = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
# Of which class the transfer syntaxes are asked: the first of these that the node takes.
_USUAL: Final = (
    *("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1"),
    *("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.7"),
)


def router_node(router: Router) -> Node:
    """Our router, as a node."""
    return Node(ae_title=router.ae_title, host=router.host, port=router.port)


def of_node(node: Node, calling_ae: str, secured: Secured | None = None) -> Iterator[Check]:
    """Reach, TLS, association, C-ECHO and what it stores. A node that only sends need not listen at all."""
    started = time.monotonic()
    try:
        socket.create_connection((node.host, node.port), _REACH_S_MAX).close()
    except OSError as error:
        why = "the host name is not known" if isinstance(error, socket.gaierror) else error.strerror or "no answer"
        yield broken(
            NODE,
            REACH,
            f"{node.host}:{node.port} cannot be reached: {why}.",
            "Check address, port, cable and firewall. A scanner that only sends may not listen: once an image came, "
            "this is a note.",
        )
        return
    yield well(NODE, REACH, f"{node.host}:{node.port} takes connections ({_ms(started)}).")
    if secured is not None:
        check = _handshake(node, secured)
        yield check
        if check.state == "broken":
            return
    try:
        yield from _echo(NODE, node, calling_ae, secured)
    except NoAssociation as error:
        yield broken(NODE, "C-ECHO", f"As {calling_ae}: {error}.", error.mend)
        return
    yield from _storage(node, calling_ae, secured)


def only_sends(of_node: Sequence[Check], came: Check) -> list[Check]:
    """What was found of a node that cannot be reached, where images came from it (`modality_store.arrived`)."""
    if came.state != "well":
        return list(of_node)
    mend = "Nothing, where it only sends. Else check address, port, cable and firewall."
    return [note(one.part, one.name, one.found, mend) if one.name == REACH else one for one in of_node]


def _handshake(node: Node, secured: Secured) -> Check:
    """TLS alone: who is there, by its certificate."""
    try:
        with socket.create_connection((node.host, node.port), _REACH_S_MAX) as connected:
            connected.settimeout(_REACH_S_MAX)
            with secured.shake_hands(connected) as made:
                certificate, version = certificate_of(made), made.version()
    except NotSecured as error:
        return broken(NODE, "TLS", f"{error.why[0].upper()}{error.why[1:]}.", error.mend)
    except OSError:
        return broken(NODE, "TLS", "It closed the connection.", "Look into its log.")
    name = certificate.common_name or f"fingerprint {certificate.fingerprint[:16]}..."
    found = f"{version}; its certificate ({name}) ends on {certificate.ends_at:%Y-%m-%d}."
    if certificate.ends_at - datetime.now(UTC) < SOON:
        return note(NODE, "TLS", found, "Have it renewed there before.")
    return well(NODE, "TLS", found)


def of_router(node: Node, router: Router) -> Iterator[Check]:
    """Whether the router answers under the node's AE title, asked from this machine."""
    try:
        yield from _echo(ROUTER, router_node(router), node.ae_title)
    except NoAssociation as error:
        mend = f"{error.mend} Is it running: radstream status?"
        yield broken(ROUTER, "C-ECHO", f"As {node.ae_title}: {error}.", mend)


def of_address(node: Node, router: Router) -> Iterator[Check]:
    """Whether the node can come to the router at all."""
    if is_loopback(router.host) and not is_loopback(node.host):
        yield broken(
            ROUTER,
            "address",
            f"It listens on {router.host}, where no other machine reaches it.",
            "Set host and peers in [router] (docs/hospitals.md), and restart it.",
        )


def not_from_here(node: Node) -> Check:
    """For a router whose peers file lets the node come from its own address alone, or by its certificate."""
    return note(
        ROUTER,
        "C-ECHO",
        f"This machine may not send as {node.ae_title}, so neither C-ECHO nor an image was sent in its name.",
        "Press verify on its console, send one image, and test again.",
    )


def address_for(node: Node, router: Router) -> str:
    """What the node has to enter as our address: of several that this machine has, the one on the way to it."""
    if router.host not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared with, not listened on
        return router.host
    family = socket.AF_INET6 if ":" in node.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unused:
            # Sends nothing: the kernel only chooses the way.
            unused.connect((node.host, node.port))
            return str(unused.getsockname()[0])
    except OSError:
        return socket.gethostname()


def _echo(part: str, node: Node, calling_ae: str, secured: Secured | None = None) -> Iterator[Check]:
    """Raises NoAssociation."""
    started = time.monotonic()
    with associated(node, calling_ae, [build_context(Verification)], secured=secured) as association:
        status = association.send_c_echo()
    found = f"{status.Status:04X}" if "Status" in status else "nothing"
    if found == "0000":
        yield well(part, "C-ECHO", f"{node.ae_title} answers {calling_ae} ({_ms(started)}).")
    else:
        mend = "Look into its log."
        yield broken(part, "C-ECHO", f"{node.ae_title} takes the association and answers {found}.", mend)


def _storage(node: Node, calling_ae: str, secured: Secured | None) -> Iterator[Check]:
    every = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    taken: list[str] = []
    try:
        for start in range(0, len(every), _BATCH):
            pairs = [(one, _UNCOMPRESSED) for one in every[start : start + _BATCH]]
            taken += [sop_class for sop_class, _ in _accepted(node, calling_ae, pairs, secured)]
    except NoAssociation as error:
        yield note(NODE, "storage", f"{error}.", error.mend)
        return
    if not taken:
        yield note(NODE, "storage", "It stores nothing, as a scanner does: images cannot be forwarded to it.")
        return
    takes = f"It takes {len(taken)} of {len(every)} storage SOP classes."
    usual = next((one for one in _USUAL if one in taken), taken[0])
    # One context for each: with several in one, it would choose, and the others would stay unknown.
    asked = [(usual, [one]) for one in TRANSFER_SYNTAXES]
    try:
        syntaxes = [one for _, one in _accepted(node, calling_ae, asked, secured)]
    except NoAssociation as error:
        yield note(NODE, "storage", f"{takes} In which transfer syntaxes is not known: {error}.", error.mend)
        return
    kinds = "; ".join(UID(one).name for one in syntaxes)
    yield well(NODE, "storage", f"{takes} {UID(usual).name} in: {kinds}.")


def _accepted(
    node: Node, calling_ae: str, pairs: Sequence[tuple[str, list[str]]], secured: Secured | None
) -> list[tuple[str, str]]:
    """The (SOP class, transfer syntax) pairs that it accepts; none where it accepts no context."""
    contexts = [build_context(sop_class, syntaxes) for sop_class, syntaxes in pairs]
    contexts.append(build_context(Verification))
    with associated(node, calling_ae, contexts, secured=secured) as association:
        return [
            (str(one.abstract_syntax), str(one.transfer_syntax[0]))
            for one in association.accepted_contexts
            if one.abstract_syntax != Verification
        ]


def _ms(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
