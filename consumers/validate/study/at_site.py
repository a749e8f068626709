"""The site's word on what is said of a study. Of images of several kinds the gravest level holds.

Who sent an image is not known of a study as a whole, so no word on a calling AE fits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import structs

from consumers.validate.levels import LEVELS, Facts, Level, Levels
from consumers.validate.study.header import Header
from consumers.validate.study.rules import RULES
from streams.events import StudyFinding


def at_site(
    findings: Iterable[StudyFinding], levels: Levels, series: Mapping[str, Sequence[Header]], site: str | None
) -> Iterator[StudyFinding]:
    """A finding on a series is as grave as the series' images make it, one on the whole study as all images do."""
    if not levels.count:
        yield from findings
        return
    for finding in findings:
        uid = finding.series_uid
        of = [series[uid]] if uid is not None and uid in series else series.values()
        kinds = {(one.modality, one.sop_class_uid) for headers in of for one in headers}
        level = _gravest(finding.rule, levels, (_facts(site, *kind) for kind in kinds))
        if level != "off":
            yield structs.replace(finding, severity=level)


def _gravest(rule: str, levels: Levels, every: Iterable[Facts]) -> Level:
    found: list[Level] = []
    for facts in every:
        said = levels.of(facts).get(rule)
        found.append(said.level if said else RULES[rule].severity)
    return min(found or [RULES[rule].severity], key=LEVELS.index)


def _facts(site: str | None, modality: str, sop_class: str) -> Facts:
    return Facts(modality=modality or None, sop_class=sop_class or None, site=site)
