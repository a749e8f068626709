"""The form of a review: the same event that `radstream review` writes."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import parse_qs

from starlette.requests import Request

from consumers.catalog.inference import Result, has_review, standing
from consumers.catalog.inference import result as read_result
from gateway import same_origin
from gateway.parts import Parts
from gateway.problem import Problem
from streams.events import ReviewEvent
from streams.objects import StoreAway, StoreRefused
from streams.reviewing import STEP, VERDICTS, Said, Verdict

_FORM = "application/x-www-form-urlencoded"
_FIELDS_MAX = 10
# A UUID: whatever else came, the database need not be asked, and could not be asked for all of it.
_EVENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_RESULT = Problem(404, "This study has no such result; open its page anew.")
_STANDS_NO_MORE = Problem(
    409,
    "This result does not stand any more: images that it was made of are held, or there is a later result. Nothing was "
    "said of it; open the page anew.",
)
# How long the page that follows waits for the catalog; it is told by an event when it comes later.
_SHOWN_S_MAX = 3.0
_POLL_S = 0.1


async def review(parts: Parts, request: Request, study_uid: str, client: str) -> str:
    """Writes the review and returns the id of the result that it is about. Raises Problem, Away."""
    same_origin.check(request)
    fields = _fields(request, await request.body())
    about = await parts.workers.run(lambda: _result(parts, study_uid, fields.get("result", "")))
    said = _said(about, fields)
    try:
        event = await parts.workers.run(lambda: said.event(parts.context.site, parts.context.clock, parts.notes))
    except StoreAway:
        raise Problem(503, "The store does not take the note, so nothing was said; ask again.") from None
    except StoreRefused:
        raise Problem(422, "The store takes no such note, so nothing was said; a shorter one may do.") from None
    facts = {"verdict": said.verdict, "reviewer": said.reviewer, "how": "study page"}
    await parts.writing.audited(client, "result_reviewed", about.event_id, facts)
    await parts.writing.write(event, STEP)
    await _shown(parts, event)
    return about.event_id


def _fields(request: Request, body: bytes) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Problem(415, f"A review is a form: {_FORM}.")
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        raise Problem(400, "The form cannot be read.") from None
    # A browser sends line ends as CR LF (URL Standard, section 5.2).
    return {name: values[0].replace("\r\n", "\n").strip() for name, values in found.items()}


def _result(parts: Parts, study_uid: str, event_id: str) -> Result:
    if not _EVENT_ID.fullmatch(event_id):
        raise _NO_RESULT
    with parts.reads.snapshot() as cursor:
        found = read_result(cursor, parts.tenant, event_id.lower())
        if found is None or found.study_uid != study_uid:
            raise _NO_RESULT
        # A page that was opened before still has its form, and who sends it means what he saw.
        if all(one.event_id != found.event_id for one in standing(cursor, parts.tenant, study_uid)):
            raise _STANDS_NO_MORE
    return found


def _said(about: Result, fields: dict[str, str]) -> Said:
    verdict: Verdict | None = next((one for one in VERDICTS if one == fields.get("verdict")), None)
    if verdict is None:
        raise Problem(400, f"verdict: one of {', '.join(VERDICTS)}")
    finding = fields.get("finding") or None
    if finding is not None and finding not in {one.finding_id for one in about.findings}:
        raise Problem(404, "This result has no such finding; open the page anew.")
    note = fields.get("note") or None
    try:
        return Said(about.study_uid, about.event_id, verdict, fields.get("reviewer", ""), finding, note)
    except ValueError as error:
        raise Problem(400, str(error)) from None


async def _shown(parts: Parts, event: ReviewEvent) -> None:
    """Returns when the catalog has the review, or soon."""

    def is_there() -> bool:
        with parts.reads.snapshot() as cursor:
            return has_review(cursor, parts.tenant, event.meta.event_id)

    until_s = time.monotonic() + _SHOWN_S_MAX
    while time.monotonic() < until_s and not await parts.workers.run(is_there):
        await asyncio.sleep(_POLL_S)
