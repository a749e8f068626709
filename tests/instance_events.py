"""Events about one instance, as tests make them: each maker says what most tests need, and takes what some need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from schemas import Lane
from streams.events import (
    Finding,
    Instance,
    InstanceReceived,
    InstanceValidated,
    Meta,
    ObjectRef,
    ProtectedRef,
    Provenance,
    Source,
    Technical,
)
from streams.identity import event_id

ROUTER = "dicom_router"
AT = datetime(2026, 1, 1, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def meta_of(
    subject: str,
    step: str = ROUTER,
    *,
    tenant: str = "t",
    site: str = "s",
    lane: Lane = "routine",
    generation: int = 0,
    ordinal: int = 0,
    at: datetime = AT,
) -> Meta:
    return Meta(
        event_id=event_id(tenant, step, subject, ordinal, generation),
        tenant=tenant,
        site=site,
        lane=lane,
        subject=subject,
        occurred_at=at,
    )


def provenance_of(step: str = ROUTER, generation: int = 0) -> Provenance:
    return Provenance(step=step, build="0", generation=generation, config_digest="c" * 64)


def instance_of(
    uids: tuple[str, str, str], digest: str, *, sop_class_uid: str = CT, transfer_syntax_uid: str = EXPLICIT
) -> Instance:
    """`uids` are those of study, series and SOP instance."""
    study_uid, series_uid, sop_instance_uid = uids
    return Instance(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        digest=digest,
    )


def ref_of(key: str, size: int, sha256: str, *, tenant: str = "t", version_id: str | None = None) -> ObjectRef:
    return ObjectRef(tenant=tenant, store="hot", key=key, version_id=version_id, length=size, size=size, sha256=sha256)


def received_of(
    meta: Meta,
    instance: Instance,
    ref: ObjectRef,
    *,
    technical: Technical | None = None,
    protected: Sequence[ProtectedRef] = (),
    association: str = "1",
) -> InstanceReceived:
    return InstanceReceived(
        meta=meta,
        provenance=provenance_of(),
        instance=instance,
        object=ref,
        technical=technical or Technical(modality="CT"),
        source=Source(protocol="DIMSE", calling_ae="CT1", called_ae="RADSTREAM", association=association),
        protected=tuple(protected),
    )


def validated_of(
    received: InstanceReceived, meta: Meta, provenance: Provenance, findings: Sequence[Finding] = ()
) -> InstanceValidated:
    return InstanceValidated(
        meta=meta,
        provenance=provenance,
        instance=received.instance,
        object=received.object,
        technical=received.technical,
        findings=tuple(findings),
        source=received.source,
    )
