"""Which studies a migration is about: those of a range of dates, or those named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from radstream.dicom_peer import NoAssociation
from radstream.errors import Failure
from radstream.migrating.old_pacs import Gone, OldPacs, Refused
from radstream.migrating.run import ATTEMPTS, BACKOFF
from radstream.migrating.windows import Answer, Found, Splitter, Steps, TooMany, Window
from streams.backoff import Backoff

T = TypeVar("T")


@dataclass
class Selection:
    """`modalities` keeps studies that have one of them, or do not say which they have. `on_window` is told of progress.

    `unproven` are windows that may have more studies than the old PACS showed, `by_time` days on which it may have more
    that have no time.
    """

    pacs: OldPacs
    since: date
    until: date
    modalities: Sequence[str] = ()
    uids: Sequence[str] = ()
    backoff: Backoff = BACKOFF
    on_window: Callable[[Window], None] = lambda _: None

    def __post_init__(self) -> None:
        self._splitters = [Splitter(self._asking(modality)) for modality in self.modalities or ("",)]

    @property
    def unproven(self) -> list[Window]:
        return [window for splitter in self._splitters for window in splitter.unproven]

    @property
    def by_time(self) -> list[Window]:
        return [window for splitter in self._splitters for window in splitter.by_time]

    def studies(self) -> Iterator[Found]:
        """Each once. Raises Failure where the old PACS cannot be asked, however often."""
        if self.uids:
            for uid in dict.fromkeys(self.uids):
                yield self._patiently(lambda uid=uid: self.pacs.study(uid)) or Found(uid, 0)  # type: ignore[misc]
            return
        steps = Steps(self.since, self.until)
        for window in steps:
            found: dict[str, Found] = {}
            for splitter in self._splitters:
                found |= self._whole(splitter, window)
            steps.found(len(found))
            yield from (study for study in found.values() if self._is_wanted(study))
            self.on_window(window)
        for splitter in self._splitters:
            splitter.prove()

    def _asking(self, modality: str) -> Callable[[Window], Answer]:
        return lambda window: self._patiently(lambda: self.pacs.studies(window, modality))

    def _whole(self, splitter: Splitter, window: Window) -> dict[str, Found]:
        try:
            return splitter.studies(window)
        except TooMany as error:
            raise Failure(f"the old PACS cannot be asked: {error}; ask for it with its vendor") from None

    def _is_wanted(self, study: Found) -> bool:
        return not self.modalities or not study.modalities or not study.modalities.isdisjoint(self.modalities)

    def _patiently(self, ask: Callable[[], T]) -> T:
        attempt = 1
        while True:
            try:
                return ask()
            except (NoAssociation, Refused, Gone) as error:
                if attempt == ATTEMPTS:
                    mend = error.mend if isinstance(error, NoAssociation) else "Look into its log."
                    raise Failure(
                        f"the old PACS cannot be asked what it has: {error}. {mend} Then run the same command again: "
                        "it goes on where it stopped"
                    ) from None
            time.sleep(self.backoff.delay_s(attempt))
            attempt += 1
