"""What changes something counts only from a page of ours: no other site's page may send it in a reader's browser."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from gateway.problem import Problem

# What browsers say of their requests where they trust the address (Fetch Metadata, sections 2.1 to 2.3).
_SITE, _MODE, _DESTINATION = "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"
# What is asked for before anybody follows the link, if anybody does (Fetch Standard, Sec-Purpose).
_AHEAD = "sec-purpose"
_OURS = ("same-origin", "none")
_EMBEDDED = Problem(403, "Another site's page asked for this; open it in a window of its own.")
_FOREIGN = Problem(
    403, "This did not come from a page of this gateway; open the study page, or the viewer, and send it from there."
)


def check(request: Request) -> None:
    """By Origin, which browsers send with every POST (Fetch Standard, section 3.2). Raises Problem."""
    if "origin" not in request.headers:
        raise _FOREIGN
    check_where_said(request)


def embedded(scope: Scope) -> Problem | None:
    """Where another site's page has it asked for by a reader's browser, such as a picture: it would be read in the
    reader's name, and what is archived be restored. A link that a reader follows is no such thing; one that a browser
    follows ahead of him is."""
    said = Headers(scope=scope)
    if said.get(_SITE, "none") in _OURS:
        return None
    is_followed = scope["method"] in ("GET", "HEAD") and said.get(_MODE) == "navigate" and _AHEAD not in said
    return None if is_followed and said.get(_DESTINATION) == "document" else _EMBEDDED


def check_where_said(request: Request) -> None:
    """As `check`, for what programs send as well: they are no browsers, and say nothing of where they come from."""
    origin, site = request.headers.get("origin"), request.headers.get(_SITE)
    if site not in (None, "same-origin"):
        raise _FOREIGN
    # The viewer sends no referrer, and a browser may then call its origin null. The other header no page can write.
    is_withheld = origin == "null" and site == "same-origin"
    if origin is not None and not is_withheld and _authority(origin) != request.headers.get("host"):
        raise _FOREIGN


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
