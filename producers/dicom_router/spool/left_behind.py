"""A spool that a router of before left where it was started: a relative folder was relative to that, and is beside the
configuration file now. What was acknowledged there waits for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from producers.dicom_router.spool.census import census
from streams.config import Config

_AT = ("router", "spool", "folder")


@dataclass(frozen=True)
class LeftBehind:
    """`former` holds what is not committed, and `folder` is the spool now."""

    former: Path
    folder: Path
    instances: int
    unreadable: int

    @property
    def found(self) -> str:
        what = f"{self.instances} acknowledged instances"
        if self.unreadable:
            what += f" and {self.unreadable} segments that cannot be read"
        return (
            f"{what} wait in {self.former}, which was the spool of a router that was started here; it is {self.folder}."
        )

    @property
    def remedy(self) -> str:
        return (
            f'Set [router.spool] folder = "{self.former}" and start the router; once nothing waits there (radstream '
            "status), set it back. Where it is the spool of another router, start this one from another folder."
        )


def left_behind(config: Config) -> LeftBehind | None:
    """What waits under the folder as it is written, seen from where this process was started; None where that is the
    spool, or nothing that can be seen waits there."""
    written = config.written(*_AT)
    if not isinstance(written, str) or Path(written).is_absolute():
        return None
    former, folder = Path.cwd() / written, config.path.absolute().parent / written
    try:
        if former.resolve() == folder.resolve():
            return None
        found = census(former)
    except OSError:
        return None
    if not found.waiting and not found.unreadable:
        return None
    return LeftBehind(former, folder, len(found.waiting), found.unreadable)
