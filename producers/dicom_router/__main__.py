"""`python -m producers.dicom_router --config FILE`"""

from __future__ import annotations

import structlog

from producers.dicom_router.archive import STEP, STORE, Archive
from producers.dicom_router.commitment.action import Commit
from producers.dicom_router.commitment.requests import Requests
from producers.dicom_router.commitment.telling import Telling
from producers.dicom_router.config import Settings
from producers.dicom_router.doors import Doors
from producers.dicom_router.lane_rules import LaneRules
from producers.dicom_router.lanes import Lanes
from producers.dicom_router.listening import Listener
from producers.dicom_router.outside_rules import OutsideRules
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.several import lead
from producers.dicom_router.spool.keeping import Keeping
from producers.dicom_router.spool.left_behind import left_behind
from producers.dicom_router.store_check import Checking, check_store
from producers.dicom_router.trust.current import SECTION as TLS
from producers.dicom_router.trust.current import trust_of
from producers.dicom_router.upper_layer.command_set import N_ACTION_RQ
from streams.allocating import give_back_large_blocks
from streams.commitment_turns import Turns
from streams.config import Config, ConfigError, Protected, Site
from streams.generation import of_facts
from streams.handover.handover import Front
from streams.handover.member import Membership
from streams.handover.shares import Shares
from streams.lasting import LastingProducer
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.peers.trust import check_files
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run, wait_for_parts

_BEAT_S = 1.0


def main(context: Context, settings: Settings) -> None:
    """Receives until `context.stopping` is set: with a spool soon, whatever is away, else once log and store answer.

    Raises ConfigError for a port or a folder that cannot be had, and for a store that would not keep what is promised.
    """
    shares: Shares | None = None
    if isinstance(context.handover, Membership):
        settings, shares = settings.share_of(context.handover.count), context.handover.shares
    elif settings.processes > 1:
        lead(context, settings)
        return
    give_back_large_blocks()
    at_once = settings.spool.takes_over
    if not at_once:
        if not wait_for_parts(context):
            return
        check_store(context, STORE)
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    # A sender waits for each record; those of many senders still go together, while one is on its way.
    producer = LastingProducer(lambda: context.log.producer(linger_ms=0), context.clock)
    trust = trust_of(settings, context.health, context.clock)
    archive = Archive(
        site=context.site,
        store=context.store,
        producer=producer,
        ids=context.ids,
        blocks=ProtectedBlocks(context.store, keys, context.site.tenant),
        clock=context.clock,
        identity=of_facts(STEP),
        lanes=Lanes(settings.lanes, lambda: trust.peers.lanes if trust.peers else {}),
        source=context.source,
        commit_timeout_s=settings.commit_timeout_s,
        lane_rules=LaneRules.of_site(context.config),
        outside_rules=OutsideRules.of_site(context.config),
    )
    keeping = Keeping(archive, settings.spool, context.health, held=at_once)
    checking = Checking(context, STORE, keeping.release) if at_once else None
    if checking is not None:
        checking.wait(settings.spool.patience_s)
    receiver = Receiver(keeping, context.health, context.clock)
    audit = RefusalAudit(context.site, context.ids, context.clock, context.source)
    refusals = Refusals(audit.made, producer, context.clock)
    requests = Requests(context.site, producer, context.ids, context.clock, context.source, settings.commit_timeout_s)
    handover = context.handover
    if not handover.ask():
        keeping.stop()
        return
    telling = Telling(context.log, Turns(context.store, context.clock), context.clock)
    commit = {N_ACTION_RQ: Commit(requests, settings.ae_title, telling, keeping.has_spooled)}
    listener = Listener(settings, receiver, trust, refusals, context.clock, commit, handover.ports, shares)
    doors = Doors(settings, receiver.answer, refusals, context.clock, listener.room, handover.ports, shares)
    try:
        handover.take()
        listener.start()
        doors.start()
        context.health.ready("started", True)
        handover.serving()
        structlog.get_logger().info(
            "listening",
            host=settings.host,
            port=listener.port,
            tls_port=listener.tls_port,
            ae_title=settings.ae_title,
            peers=len(trust.peers.by_title) if trust.peers else "anybody on this machine",
        )
        while not context.stopping.wait(_BEAT_S):
            context.health.beat()
            receiver.settle()
            keeping.look()
            trust.look()
            refusals.publish()
            if checking is not None:
                checking.ask()
    finally:
        doors.close()
        listener.close()
        handover.close()
        listener.stop()
        telling.stop()
        doors.stop(gently=handover.done)
        keeping.stop()
        refusals.publish(all_of_it=True)
        producer.close(settings.commit_timeout_s)


def front(config: Config, settings: Settings) -> Front:
    """What an older router and a newer one have in common: the port, the archive, and the spool that both drain."""
    site, folder = config.section("site", Site), settings.spool.folder
    spool = "" if folder is None else str(folder)
    return Front(settings.port, {"tenant": site.tenant, "site": site.site, "[router.spool] folder": spool})


def check(config: Config, settings: Settings) -> None:
    """Raises ConfigError where the files of trust cannot be used, and where a spool of before would be left."""
    check_files(TLS, settings.peers, settings.tls)
    if left := left_behind(config):
        raise ConfigError(f"{left.found} {left.remedy}")


if __name__ == "__main__":
    run("router", Settings, main, check, waits=False, front=front)
