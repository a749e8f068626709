"""Whether our router is there: what an old PACS fails to send may be no fault of the old PACS."""

from __future__ import annotations

from ipaddress import ip_address

from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from radstream.dicom_peer import NoAssociation, Silent, associated
from streams.nodes import Node

ROUTER_AWAY = "our router does not answer; start it: radstream up router"


def router_away(router: Node, calling_ae: str) -> str:
    """ROUTER_AWAY, or nothing where it answers a C-ECHO. One that rejects us is there: the old PACS comes otherwise.

    Nothing either where it listens everywhere: that says no machine, and from another one we would ask ourselves.
    """
    if _is_everywhere(router.host):
        return ""
    try:
        with associated(router, calling_ae, [build_context(Verification)]) as association:
            association.send_c_echo()
    except Silent:
        return ROUTER_AWAY
    except NoAssociation:
        return ""
    return ""


def _is_everywhere(host: str) -> bool:
    try:
        return not host or ip_address(host).is_unspecified
    except ValueError:
        return False
