"""Why what waits on the spool is not committed: for its own sake, or for the machine's, whose lack ends by itself."""

from __future__ import annotations

import errno
from typing import Final

from producers.dicom_router.spool.record import Kept
from streams.config import Site
from streams.log import LogRefused
from streams.objects import Damaged, StoreRefused

# No file or no memory to be had: nobody's fault who waits, and over when others have ended.
_OF_THE_MACHINE: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR))


class OfAnotherSite(Exception):
    """It was received for another tenant or site than the router's: that is no word about store or log."""


def check_site(kept: Kept, site: Site) -> None:
    """Raises OfAnotherSite for what was left by another site's router, or before `[site]` was changed."""
    if (kept.tenant, kept.site) != (site.tenant, site.site):
        raise OfAnotherSite(
            f"it was received for tenant {kept.tenant}, site {kept.site}, and the router is of tenant {site.tenant}, "
            f"site {site.site}: a router with that [site] commits it"
        )


def is_of_the_machine(error: Exception) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OF_THE_MACHINE)


def reason(error: Exception) -> str:
    """For a person, without patient data: the text of an exception that nobody planned can hold anything."""
    if isinstance(error, OfAnotherSite):
        return str(error)
    if isinstance(error, Damaged):
        return "the store holds other bytes under its key"
    if isinstance(error, LogRefused):
        return f"the log refused its event: {error}"
    if isinstance(error, StoreRefused):
        return f"the store does not take it: {error}"
    return f"it cannot be committed ({type(error).__name__}); the router's log has the place in the code"
