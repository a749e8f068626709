"""Storage commitment from both sides: a node that asks us for it and is told, and an archive that is asked by us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from pydicom.uid import generate_uid

from consumers.catalog.commitments import WholeCommitment, transaction
from producers.dicom_router.config import Settings as Router
from radstream.checks.check import Check, broken, note, well
from radstream.commitments import REASONS
from radstream.committing import CONTEXT, SCP_ROLE, SCU_ROLE, Report, Reports, ask, listening
from radstream.dicom_peer import NoAssociation, associated
from radstream.errors import Failure
from radstream.modality_checks import NODE, ROUTER, router_node
from radstream.modality_store import Image
from radstream.reading import catalog_snapshot
from radstream.sending import send_items
from streams.config import Config, Site
from streams.nodes import Node
from streams.store_scu import Target
from streams.tls.clients import Clients

NAME: Final = "commitment"
_POLL_S: Final = 0.2


@dataclass(frozen=True)
class Asking:
    """How an archive is asked: as whom, where its report may come besides, and how long it is awaited."""

    calling_ae: str
    listen: tuple[str, int] | None
    wait_s: float


def takes_reports(node: Node, calling_ae: str, clients: Clients) -> Check:
    """Whether a report of ours would be taken; nothing is reported."""
    try:
        secured = clients.of(node)
        with associated(node.for_reports, calling_ae, [CONTEXT], roles=[SCP_ROLE], secured=secured) as association:
            taken = all(one.as_scp for one in association.accepted_contexts)
    except NoAssociation as error:
        found = f"It would take no report of storage commitment: {error}."
        mend = "Mend that, if it asks for commitment. Another port for it is its commitment_port in the file of nodes."
        return note(NODE, NAME, found, mend)
    if not taken:
        return note(NODE, NAME, "It does not accept that we report to it (role selection, PS3.7 D.3.3.4).")
    return well(NODE, NAME, "It takes reports of storage commitment.")


def of_router(config: Config, node: Node, router: Router, image: Image, wait_s: float) -> Iterator[Check]:
    """Asks our router, as the node, to commit an image that it has, and waits until the node was told."""
    transaction_uid = str(generate_uid(prefix=None))
    try:
        with associated(router_node(router), node.ae_title, [CONTEXT], roles=[SCU_ROLE]) as association:
            status = ask(association, transaction_uid, image.item.sop_class, image.item.sop_instance)
    except NoAssociation as error:
        yield broken(ROUTER, NAME, f"As {node.ae_title}: {error}.", error.mend)
        return
    if status != 0:
        found = f"The request was answered with {_hex(status)}."
        yield broken(ROUTER, NAME, found, "The log may be away: radstream doctor; then test again.")
        return
    yield well(ROUTER, NAME, f"The request is kept. Transaction {transaction_uid}.")
    yield _followed(config, transaction_uid, wait_s)


def _followed(config: Config, transaction_uid: str, wait_s: float) -> Check:
    started, found = time.monotonic(), None
    while time.monotonic() - started < wait_s:
        try:
            found = _standing_of(config, transaction_uid)
        except Failure as error:
            return broken(ROUTER, "report", f"{error}.", "Start it, then test again.")
        if found is not None and found.standing in ("delivered", "abandoned"):
            break
        time.sleep(_POLL_S)
    return _judged(found, transaction_uid, wait_s)


def _standing_of(config: Config, transaction_uid: str) -> WholeCommitment | None:
    """None while the catalog does not show the request. Raises Failure."""
    with catalog_snapshot(config) as cursor:
        rows = transaction(cursor, config.section("site", Site).tenant, transaction_uid)
    return rows[0] if rows else None


def _judged(found: WholeCommitment | None, transaction_uid: str, wait_s: float) -> Check:
    later = f"See later: radstream commitments show {transaction_uid}"
    if found is None:
        mend = "See who is behind: radstream lag; what runs: radstream status."
        return broken(ROUTER, "report", f"After {wait_s:.0f} s the catalog does not show the request.", mend)
    match found.standing:
        case "delivered" if found.committed == found.instances:
            return well(ROUTER, "report", f"Committed in {found.copies} verified copies, and {found.node} was told.")
        case "delivered":
            return broken(ROUTER, "report", f"{found.node} was told that it is not committed.", later)
        case "abandoned":
            return broken(ROUTER, "report", f"It could not be told: {found.why}.", later)
        case "judged":
            mend = f"Check its address and that it listens. {later}"
            return broken(
                ROUTER, "report", f"Decided, and after {wait_s:.0f} s the node did not take the report.", mend
            )
    found_ = f"After {wait_s:.0f} s the image has not as many verified copies as are promised; that may take hours."
    return note(ROUTER, "report", found_, later)


def of_archive(node: Node, clients: Clients, image: Image, asking: Asking) -> Iterator[Check]:
    """Stores an image there, asks for it to be committed, and awaits the report."""
    secured = clients.of(node)
    target = Target(node.ae_title, node.host, node.port, secured)
    sent = send_items([image.item], target, calling_ae=asking.calling_ae, retries=0)
    if sent.acknowledged != 1:
        answer = next(iter(sent.statuses), "")
        why = f"answered with status {answer}" if answer else f"not sent: {sent.unsent[0]['reason']}"
        yield broken(NODE, "C-STORE", f"The image was {why}.", f"Enter {asking.calling_ae} on it as one that may send.")
        return
    warned = f", with warning {sent.warned[0]['status']}" if sent.warned else ""
    yield well(NODE, "C-STORE", f"It took a generated image in {sent.p50_ms} ms{warned}. Study {image.study_uid}.")
    reports = Reports(str(generate_uid(prefix=None)))
    with ExitStack() as open_:
        if asking.listen is not None:
            context = clients.listening() if node.tls else None
            open_.enter_context(listening(asking.calling_ae, asking.listen, reports, context))
        try:
            with associated(
                node,
                asking.calling_ae,
                [CONTEXT],
                roles=[SCU_ROLE],
                handlers=reports.handlers,
                secured=secured,
                answer_s_max=max(asking.wait_s, 1.0),
            ) as association:
                status = ask(association, reports.transaction_uid, image.item.sop_class, image.item.sop_instance)
                report = reports.wait(asking.wait_s) if status == 0 else None
        except NoAssociation as error:
            yield broken(NODE, NAME, f"Storage commitment: {error}.", error.mend)
            return
    if status != 0:
        yield broken(NODE, NAME, f"It answered the request with {_hex(status)}.", "Look into its log.")
        return
    yield _reported(report, image.item.sop_instance, asking)


def _reported(report: Report | None, sop_instance: str, asking: Asking) -> Check:
    if report is None:
        found = f"It took the request, and no report came in {asking.wait_s:.0f} s."
        if asking.listen is None:
            return broken(
                NODE, NAME, found, "Many report on a new association: add --listen HOST:PORT, and enter it there."
            )
        where = f"AE title {asking.calling_ae}, our address, port {asking.listen[1]}"
        return broken(NODE, NAME, found, f"Enter on it where to report: {where}; or wait longer: --wait.")
    where = "on a new association" if report.on_new_association else "on the same association"
    if sop_instance in report.committed:
        return well(NODE, NAME, f"It committed to keep the image, and said so {where}.")
    reason = report.failed.get(sop_instance)
    why = "without a reason" if reason is None else f"0x{reason:04X}, {REASONS.get(reason, 'another reason')}"
    return broken(NODE, NAME, f"It reported {where} that it does not commit: {why}.", "Look into its log.")


def _hex(status: int | None) -> str:
    return "nothing" if status is None else f"0x{status:04X}"
