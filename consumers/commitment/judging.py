"""Which instances of a request are committed: a function of the request and of what is known of its instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.events import CommitmentRequest, FailedReferences, SopReferences
from streams.sop_classes import NOT_STORABLE, OTHER_SERVICES

# Failure Reasons (PS3.3 section C.14.1.1).
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122
DUPLICATE_TRANSACTION: Final = 0x0131
# An instance may still come, also a corrected one after one that was rejected: it is on a spool, or the catalog is
# behind it. One that is here may still get its copies, be released, or be the one that is served.
_MAY_STILL_COME: Final = frozenset((NO_SUCH_INSTANCE, PROCESSING_FAILURE))


@dataclass(frozen=True)
class Content:
    """What was received under a SOP Instance UID. `copies` counts places with a copy that was read back and is right.

    `held`: it waits for a person. `rejected`: one has decided against it, so that it may be wanted once more from who
    made it. `delivered`: by the requester, and not by others alone. `superseded`: it has delivered other content since.
    """

    sop_class_uid: str
    copies: int
    held: bool = False
    rejected: bool = False
    delivered: bool = True
    superseded: bool = False


@dataclass(frozen=True)
class Known:
    """What is known when a request is judged: contents by SOP Instance UID, in the order in which they first came.

    `first_request` is the event that had its Transaction UID first, of the same requester; None where not even the
    request itself has come to the catalog. `is_behind`: nor has all that had arrived before it.
    """

    first_request: str | None
    contents: Mapping[str, Sequence[Content]]
    is_behind: bool = False


@dataclass(frozen=True)
class Judged:
    """`open` counts those of `failed` that may be committed later."""

    committed: tuple[SopReferences, ...]
    failed: tuple[FailedReferences, ...]
    open: int


class _Verdict(NamedTuple):
    """One instance of a request; a `reason` of 0 commits it. `open`: time alone may mend it."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int
    open: bool


def judge(request: CommitmentRequest, known: Known, copies: int) -> Judged:
    """`copies` is what is promised of each instance."""
    duplicate = known.first_request not in (None, request.meta.event_id)
    verdicts = list(_verdicts(request, known.contents, copies, duplicate=duplicate))
    groups: dict[tuple[int, str], list[str]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.reason, verdict.sop_class_uid), []).append(verdict.sop_instance_uid)
    return Judged(
        committed=tuple(
            SopReferences(sop_class_uid=sop_class, sop_instance_uids=tuple(uids))
            for (reason, sop_class), uids in groups.items()
            if not reason
        ),
        failed=tuple(
            FailedReferences(reason=reason, sop_class_uid=sop_class, sop_instance_uids=tuple(uids))
            for (reason, sop_class), uids in groups.items()
            if reason
        ),
        open=sum(verdict.open for verdict in verdicts),
    )


def _verdicts(
    request: CommitmentRequest, contents: Mapping[str, Sequence[Content]], copies: int, *, duplicate: bool
) -> Iterator[_Verdict]:
    for group in request.references:
        for uid in group.sop_instance_uids:
            found = contents.get(uid, ())
            reason = DUPLICATE_TRANSACTION if duplicate else _reason(group.sop_class_uid, found, copies)
            yield _Verdict(group.sop_class_uid, uid, reason, reason in _MAY_STILL_COME)


def _reason(sop_class: str, contents: Sequence[Content], copies: int) -> int:
    """Every content that the requester delivered under the UID must be safe, since it may mean any of them, but for
    what was rejected before it delivered other; and who retrieves by the UID must get one of them.

    Of what others delivered nothing can be promised: it may be another image.
    """
    if sop_class in OTHER_SERVICES or sop_class in NOT_STORABLE:
        return CLASS_NOT_SUPPORTED
    own = [content for content in contents if content.delivered]
    if not own:
        return NO_SUCH_INSTANCE
    if any(content.sop_class_uid != sop_class for content in own if not content.rejected):
        return CLASS_INSTANCE_CONFLICT
    is_unwanted = any(content.rejected and not content.superseded for content in own)
    if is_unwanted or any(content.held or _lacks_copies(content, copies) for content in own):
        return PROCESSING_FAILURE
    # The first is served. One that is held or not judged yet may be, and then stands before the others.
    first = next(content for content in contents if not content.rejected)
    return 0 if first.delivered else PROCESSING_FAILURE


def _lacks_copies(content: Content, copies: int) -> bool:
    """A backup that has begun is waited for also of what was rejected: a person may take that back, and its sender
    hears "committed" with the other. One that has not begun is not made (consumers/tiering/copies.py).
    """
    return content.copies < copies and not (content.rejected and content.copies == 0)
