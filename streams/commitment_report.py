"""What an N-EVENT-REPORT says of a transaction (PS3.4 table J.3-2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.status import code_to_category

from streams.events import CommitmentResult, FailedReferences, SopReferences

SUCCESSFUL: Final = 1
FAILURES_EXIST: Final = 2

_TRANSACTION: Final = 0x00081195
_SOP_CLASS, _SOP_INSTANCE = 0x00081150, 0x00081155


def event_type(result: CommitmentResult) -> int:
    return FAILURES_EXIST if result.failed else SUCCESSFUL


def data_set(result: CommitmentResult) -> Dataset:
    report = Dataset()
    report.add(_uid(_TRANSACTION, result.transaction_uid))
    if result.committed:
        report.ReferencedSOPSequence = Sequence(_items(result.committed))
    if result.failed:
        report.FailedSOPSequence = Sequence(_items(result.failed))
    return report


def is_taken(status: int) -> bool:
    """Whether a requester that answered so knows it now."""
    return code_to_category(status) in ("Success", "Warning")


def _items(groups: tuple[SopReferences, ...] | tuple[FailedReferences, ...]) -> Iterator[Dataset]:
    for group in groups:
        for uid in group.sop_instance_uids:
            item = Dataset()
            item.add(_uid(_SOP_CLASS, group.sop_class_uid))
            item.add(_uid(_SOP_INSTANCE, uid))
            if isinstance(group, FailedReferences):
                item.FailureReason = group.reason
            yield item


def _uid(tag: int, uid: str) -> DataElement:
    """As the sender wrote it: leading zeros are wrong, and its own (docs/decisions/0003)."""
    return DataElement(tag, "UI", uid, validation_mode=config.IGNORE)
