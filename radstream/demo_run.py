"""One run of the demo: send, wait, count, and show what came of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from PIL import UnidentifiedImageError

from radstream import thumbnails
from radstream.accounts import Equation, Term
from radstream.catalog_times import Arrivals, CatalogTimes
from radstream.contact_sheet import contact_sheet
from radstream.demo_items import PHANTOM
from radstream.demo_summary import Run, StudyNow, Summary, archive_of, not_accepted, refusals
from radstream.demo_whole import Whole
from radstream.errors import Failure
from radstream.flow import Flow
from radstream.items import Item
from radstream.quantiles import latency
from radstream.sending import SUCCESS, Sent
from radstream.survey import Survey
from streams.config import Config, Store
from streams.objects import Absent, Damaged, StoreAway
from streams.s3 import S3Store

CALLING_AE = "RADDEMO"
CONTACT_SHEET = "contact-sheet.png"


@dataclass
class DemoRun:
    """`started` is when the C-STORE of a SOP instance began, where one was sent once."""

    objects: list[Item]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent: list[Sent] = field(default_factory=list)
    started: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sop_instances = {item.name: item.sop_instance for item in self.objects}
        self._often = Counter(self._sop_instances.values())

    def settled(self, one: Sent) -> None:
        """Called as each object is answered."""
        self.sent.append(one)
        sop_instance = self._sop_instances[one.name]
        if self._often[sop_instance] == 1:
            self.started[sop_instance] = datetime.fromtimestamp(time.time() - one.seconds, UTC)

    def run(self, catalog: CatalogTimes, seconds: float) -> tuple[Run, Equation]:
        """What became of the sending, and whether the catalog has as many arrivals as were acknowledged."""
        acknowledged = [one for one in self.sent if one.status == SUCCESS]
        arrivals = catalog.arrivals_since(self.began, CALLING_AE)
        rows = catalog.cataloged_since(self.began)
        way = [(rows[sop] - start).total_seconds() for sop, start in self.started.items() if sop in rows]
        run = Run(
            objects=len(self.objects),
            acknowledged=len(acknowledged),
            stored=arrivals.new,
            duplicates=arrivals.records - arrivals.new,
            refused=refusals(self.sent),
            not_accepted=not_accepted(self.sent),
            seconds=round(seconds, 3),
            c_store=latency([one.seconds for one in acknowledged]),
            c_store_to_catalog=latency(way),
        )
        return run, _arrived(arrivals, len(acknowledged))


def _arrived(arrivals: Arrivals, acknowledged: int) -> Equation:
    """A request whose answer was lost is sent again, and arrives twice; an acknowledged one cannot be missing."""
    again = max(0, arrivals.records - acknowledged)
    return Equation(
        "this run",
        Term("arrivals in the catalog", arrivals.records),
        (Term("acknowledged", acknowledged), Term("sent again after a lost answer", again)),
    )


def summary_of(
    demo: DemoRun,
    config: Config,
    catalog: CatalogTimes,
    found: Survey,
    seen: Flow,
    rest: Whole,
    *,
    seconds: float,
    durable: bool | None,
) -> Summary:
    """Writes the contact sheet too. Raises Failure where a thumbnail cannot be read."""
    run, arrived = demo.run(catalog, seconds)
    revision = catalog.revision(PHANTOM.uid)
    return Summary(
        run=run,
        archive=archive_of(found),
        study=StudyNow(PHANTOM.uid, revision.number, revision.instances),
        whole=rest,
        lag=seen.lag,
        agree=found.agree and arrived.agrees,
        accounts=(*found.equations, arrived),
        contact_sheet=str(_sheet(demo, config, found)),
        durable=durable,
    )


def _sheet(demo: DemoRun, config: Config, found: Survey) -> Path:
    path = config.path.absolute().with_name(CONTACT_SHEET)
    pictures = thumbnails.chosen((item.sop_instance for item in demo.objects), found.log.derivations)
    try:
        path.write_bytes(contact_sheet(thumbnails.read(S3Store(config.section("store", Store)), pictures)))
    except (Absent, Damaged, StoreAway, UnidentifiedImageError) as error:
        raise Failure(f"a thumbnail cannot be read ({type(error).__name__}); see: radstream status") from None
    except OSError as error:
        raise Failure(f"{path}: cannot be written ({error.strerror}); make room, or mend its permissions") from None
    return path
