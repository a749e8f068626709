"""What follows when the images are in: results, a word of a person, a walk through the tiers, a RIS that reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumers.catalog.inference import result as catalog_result
from radstream.demo_client import read_by_client
from radstream.demo_results import MM_MAX, SHARE_MAX, Checked, Compared, Said, checked, compared, findings_of, said_of
from radstream.demo_tiers import Stage, walk
from radstream.errors import Failure
from radstream.reading import catalog_snapshot
from radstream.review import say
from streams import reviewing
from streams.config import Config, Site
from streams.events import InferenceResult
from streams.log import Log

REVIEWER = "demo.radiologist"
NOTE = "Seen in the demonstration."


@dataclass(frozen=True)
class Whole:
    """`findings` are lines for people; `client` is how many events the Python client printed, None without it."""

    results: int
    findings: tuple[str, ...]
    compared: tuple[Compared, ...]
    objects: tuple[Checked, ...]
    reviews: tuple[str, ...]
    walk: tuple[Stage, ...]
    client: int | None

    @property
    def agree(self) -> bool:
        """Whether backends agree, validators find no error, and the client read as much as the log holds."""
        right = all(one.agree for one in self.compared) and not any(one.errors for one in self.objects)
        return right and self.client in (None, self.results + len(self.reviews))


def whole(log: Log, config: Config, study_uid: str, told: Callable[[str], None]) -> Whole:
    """Everything that depends on the generated study's results. Raises Failure."""
    said = said_of(log, config, study_uid)
    analysed = [result for result in said.results if result.outcome == "analysed"]
    if not analysed:
        raise Failure("no model has analysed the generated study; see: radstream lag ai, and: radstream results")
    told(f"{len(analysed)} results; comparing backends and checking SR and SEG")
    objects = checked(config, analysed)
    if not said.reviews:
        said = _reviewed(log, config, analysed, study_uid)
    stages = walk(log, config, study_uid, told)
    told("reading the results with the Python client")
    printed = read_by_client(config, study_uid)
    return Whole(
        results=len(said.results),
        findings=tuple(findings_of(analysed)),
        compared=compared(analysed),
        objects=objects,
        reviews=tuple(f"{review.verdict} by {review.reviewer}" for review in said.reviews),
        walk=stages,
        client=None if printed is None else len(printed),
    )


def _reviewed(log: Log, config: Config, analysed: list[InferenceResult], study_uid: str) -> Said:
    """One finding is confirmed, once: a second run finds the review there."""
    result = next((one for one in analysed if one.findings), analysed[0])
    finding = result.findings[0].finding_id if result.findings else None
    with catalog_snapshot(config) as cursor:
        row = catalog_result(cursor, config.section("site", Site).tenant, result.meta.event_id)
    if row is None:
        raise Failure("the catalog does not show a result that the log holds; see: radstream lag catalog")
    say(config, reviewing.Said(study_uid, row.event_id, "confirmed", REVIEWER, finding, NOTE))
    return said_of(log, config, study_uid)


def rows_of(found: Whole) -> list[tuple[str, object]]:
    """For the summary's table."""
    rows: list[tuple[str, object]] = [("results of models", found.results)]
    rows += [("  finding", line) for line in found.findings]
    for one in found.compared:
        yes = "equal" if one.agree else "NOT equal"
        within = f"within {SHARE_MAX:.0%} and {MM_MAX:g} mm"
        by = " and ".join(one.backends)
        rows.append((f"  {one.model}", f"{by}: {yes} {within} (off by {one.share:.2%}, {one.mm:g} mm)"))
    rows += [(f"  {kind.upper()} objects", _validator(kind, found.objects)) for kind in ("sr", "seg")]
    rows += [("  review", line) for line in found.reviews]
    for stage in found.walk:
        ways = ", ".join(stage.ways) or "nothing to move"
        rows.append((f"tiering, {stage.when}", f"{ways}: {stage.objects} objects, {stage.verified} verified copies"))
    read = "no client in this checkout" if found.client is None else f"{found.client} events of the study"
    rows.append(("read by the Python client", read))
    return rows


def _validator(kind: str, objects: Sequence[Checked]) -> str:
    errors = [one.errors for one in objects if one.kind == kind]
    if None in errors:
        return f"{len(errors)}; not checked: dciodvfy is not on this machine"
    return f"{len(errors)}; dciodvfy finds {sum(one or 0 for one in errors)} errors in them"
