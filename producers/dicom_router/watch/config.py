"""What can be set in [router.watch]. Without the section, no folder is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streams.config import Section
from streams.titles import AeTitle


class Settings(Section, frozen=True, kw_only=True):
    """`folder` is there, and the router may write in it: `done` and `failed` are made in it.

    A file is read when it has not changed for `settled_s` seconds. `calling_ae` is what [router] lanes and the events
    call whoever puts files there.
    """

    folder: Path
    calling_ae: AeTitle = "FOLDER"
    settled_s: Annotated[float, Meta(gt=0)] = 5.0
