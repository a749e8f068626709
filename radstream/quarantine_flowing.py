"""Images that flow, for who decides: the catalog says which do, the log how they came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from consumers.catalog.quarantine import Flowing, flowing, standing
from radstream.errors import Failure
from radstream.quarantine_log import was_never_held
from radstream.quarantine_origin import announced
from radstream.reading import catalog_snapshot
from streams.config import Config, Site
from streams.events import Instance, InstanceQuarantined
from streams.generation import of_facts
from streams.held import DECISION
from streams.log import Log


def to_be_rejected(config: Config, log: Log, name: str) -> InstanceQuarantined:
    """One that nothing ever held, as if it were held as rejected.

    By its whole digest or its SOP Instance UID: a beginning may be a slip.

    Raises Failure where no image of a study is served under the name, or several are; LogAway, LogRefused.
    """
    tenant = config.section("site", Site).tenant
    with catalog_snapshot(config) as cursor:
        found = flowing(cursor, tenant, name)
    if not found:
        raise Failure(
            f"nothing is or was held under {name}, and no image of a study has this SOP Instance UID or whole digest; "
            "see: radstream quarantine list --all, radstream study UID --json"
        )
    if len(found) > 1:
        raise Failure(f"{len(found)} images flow under {name}; say which: {', '.join(one.digest for one in found)}")
    return each_to_be_rejected(log, tenant, found)[0]


def each_to_be_rejected(log: Log, tenant: str, found: Iterable[Flowing]) -> list[InstanceQuarantined]:
    """As `to_be_rejected`; the log is read once for all of a study, which may be a day of a hospital's.

    Raises Failure, LogAway, LogRefused.
    """
    of_studies: dict[str, list[Flowing]] = defaultdict(list)
    for one in found:
        of_studies[one.study_uid].append(one)
    said: list[InstanceQuarantined] = []
    for study_uid, members in of_studies.items():
        digests, since = {one.digest for one in members}, min(one.received_at for one in members)
        came = announced(log, tenant, study_uid, digests, since)
        if missing := sorted(digests - came.keys()):
            raise Failure(f"nothing was done: the log does not say any more how {missing[0]} came")
        said += [was_never_held(item.event, of_facts(DECISION).provenance(item)) for item in came.values()]
    return said


def flow_by_now(config: Config, digests: Iterable[str]) -> frozenset[str]:
    """Those of instances that were held which flow: a later generation let them through, and nobody is waited for.

    Raises Failure where the catalog cannot be asked.
    """
    tenant = config.section("site", Site).tenant
    with catalog_snapshot(config) as cursor:
        verdicts = {digest: standing(cursor, tenant, digest).verdict for digest in digests}
    # What the catalog has not seen yet is not known to flow.
    return frozenset(digest for digest, verdict in verdicts.items() if verdict not in (None, "quarantined"))


def none_beside(config: Config, named: Instance) -> None:
    """Raises Failure where other content flows under the SOP Instance UID, sent again: who names it may mean that."""
    uid = named.sop_instance_uid
    with catalog_snapshot(config) as cursor:
        found = flowing(cursor, config.section("site", Site).tenant, uid)
    if others := [f"{one.digest} (flows)" for one in found if one.digest != named.digest]:
        raise Failure(
            f"nothing was done: {len(others) + 1} images came under {uid}; say which: "
            f"{', '.join((f'{named.digest} (is or was held)', *others))}"
        )
