"""One truth about a service with several processes: what its parent answers at /healthz, /readyz and /metrics.

A check of any member that takes connections is a check of the service. A member that is away is a warning while others
serve. Metrics of members have the label `process`, their number; those about the service as a whole are the parent's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import urllib3
from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from streams.handover.crew import Crew, Member, State
from streams.health import Health

PROCESSES: Final = "processes"
LABEL: Final = "process"
_ANSWER_S_MAX: Final = 2.0
# What the parent says, for all. The others of its own would be zeros.
_OF_THE_SERVICE: Final = ("radstream_build_info", "radstream_check_failing", "radstream_check_warning")
_OF_A_PROCESS: Final = "process_"
_STARTED: Final = "started"


class CrewHealth:
    """`look` by the parent's main thread, each second or so."""

    def __init__(self, crew: Crew, health: Health) -> None:
        self._crew = crew
        self._health = health
        self._failed: set[str] = set()
        self._warned: set[str] = set()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Together(crew))
        health.registry = registry

    def look(self) -> None:
        """Asks the members how they are, and says so."""
        said = {member: _asked(member, "readyz") for member in self._crew.members}
        serving = [member for member in self._crew.members if member.state is State.SERVING]
        failing, warnings = _by_check(said, "failing"), _by_check(said, "warnings")
        failing.pop(_STARTED, None)
        if self._crew.taking:
            self._count(serving)
        for name in self._failed | set(failing):
            self._health.ready(name, name not in failing, failing.get(name, ""))
        for name in self._warned | set(warnings):
            self._health.warn(name, warnings.get(name, ""))
        self._failed, self._warned = set(failing), set(warnings)
        alive = (_asked(member, "healthz") for member in serving)
        if all(answer is not None and answer.get("alive") for answer in alive):
            self._health.beat()

    def _count(self, serving: list[Member]) -> None:
        away = [str(member.number) for member in self._crew.members if member not in serving]
        what = f"process {', '.join(away)} of {len(self._crew.members)} is started again; see the log for why it ended"
        self._health.warn(PROCESSES, what if away and serving else "")
        self._health.ready(PROCESSES, bool(serving), "no process takes connections; they are started again")


class _Together(Collector):
    """The metrics of all members, by process, and what the parent says of the service."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for family in REGISTRY.collect():
            if family.name in _OF_THE_SERVICE:
                families[family.name] = family
            elif family.name.startswith(_OF_A_PROCESS):
                _add(families, family, 0)
        for member in self._crew.members:
            for family in _metrics_of(member):
                if family.name not in _OF_THE_SERVICE:
                    _add(families, family, member.number)
        yield from families.values()


def _add(families: dict[str, Metric], family: Metric, number: int) -> None:
    into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
    into.samples += [Sample(one.name, {**one.labels, LABEL: str(number)}, one.value) for one in family.samples]


def _metrics_of(member: Member) -> Iterable[Metric]:
    answer = _get(member, "metrics")
    try:
        return () if answer is None else list(text_string_to_metric_families(answer.decode()))
    except ValueError:
        return ()


def _by_check(said: Mapping[Member, Mapping[str, Any] | None], what: str) -> dict[str, str]:
    """The checks that fail, or warn, in any member that answers, with what the first of them says."""
    found: dict[str, str] = {}
    for member, answer in said.items():
        for name, why in (answer or {}).get(what, {}).items():
            found.setdefault(name, f"process {member.number}: {why}")
    return found


def _asked(member: Member, path: str) -> Mapping[str, Any] | None:
    answer = _get(member, path)
    try:
        found = None if answer is None else json.loads(answer)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _get(member: Member, path: str) -> bytes | None:
    """What a member answers; None where it does not."""
    if member.port is None:
        return None
    try:
        url = f"http://127.0.0.1:{member.port}/{path}"
        return urllib3.request("GET", url, retries=False, timeout=_ANSWER_S_MAX).data
    except urllib3.exceptions.HTTPError:
        return None
