"""Every panel and every rule asks for metrics that the running services have, by labels that they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from infra.dashboards.__main__ import DASHBOARDS, write
from infra.local.parts.services import MODULES, Listening
from radstream.demo_items import demo_items
from radstream.sending import send_items
from streams import metrics
from tests.pipeline_run import router_of
from tests.promql import FOREIGN, OF_THE_SCRAPE, Asked, asked, declared, family, shown
from tests.running_stack import RunningStack
from tests.waiting import wait_until

RULES = Path(__file__).resolve().parents[2] / "infra" / "prometheus" / "rules"
HISTOGRAM_LABELS = {"le"}


def rules() -> Iterator[dict[str, Any]]:
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


RECORDED = {rule["record"]: asked(rule["expr"]) for rule in rules() if "record" in rule}
EXPRESSIONS = [
    *(
        (f"{dashboard.uid}: {panel.title}", query.promql)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
    ),
    *((f"rule {rule.get('alert') or rule['record']}", rule["expr"]) for rule in rules()),
]


def exposition(stack: RunningStack, service: str) -> str:
    port = stack.config.section(service, Listening).http_port
    return urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", timeout=60.0).data.decode()


@pytest.fixture(scope="module")
def found(stack: RunningStack) -> dict[str, set[str]]:
    """Labels by family, of all services together, once an image has gone the whole way."""
    assert send_items(demo_items()[:1], router_of(stack)).acknowledged
    waited = 'radstream_end_to_end_seconds_count{lane="routine"}'
    wait_until(lambda: waited in exposition(stack, "catalog"), "the image in the catalog")
    wait_until(lambda: "radstream_group_lag_records{" in exposition(stack, "lag"), "a measurement of lag")
    together: dict[str, set[str]] = {}
    for service in MODULES:
        for name, labels in shown(exposition(stack, service)).items():
            together.setdefault(name, set()).update(labels)
    return together


@pytest.mark.stack
@pytest.mark.parametrize(("what", "promql"), EXPRESSIONS, ids=[what for what, _ in EXPRESSIONS])
def test_what_is_asked_for_is_there(what: str, promql: str, found: dict[str, set[str]]) -> None:
    wanted = asked(promql)
    assert wanted.metrics, "no metric is named: tests/promql.py reads this expression wrong"
    unknown = {name for name in wanted.metrics if not known(name, found)}
    assert unknown == set()
    if not any(name.startswith(FOREIGN) for name in wanted.metrics):
        assert wanted.labels - labels_of(wanted, found) == set()


def known(metric: str, found: dict[str, set[str]]) -> bool:
    return metric == "up" or metric in RECORDED or metric.startswith(FOREIGN) or family(metric) in found


def labels_of(wanted: Asked, found: dict[str, set[str]]) -> set[str]:
    labels = {*OF_THE_SCRAPE, *HISTOGRAM_LABELS}
    for name in wanted.metrics:
        if name in RECORDED:
            labels |= RECORDED[name].labels
        else:
            labels |= found.get(family(name), set()) | declared().get(family(name), set())
    return labels


@pytest.mark.stack
def test_what_a_service_shows_is_what_is_declared(found: dict[str, set[str]]) -> None:
    """So a label that no sample has yet can be looked up in streams/metrics.py."""
    for name, labels in declared().items():
        if found.get(name):
            assert found[name] - HISTOGRAM_LABELS == labels, f"{name}: {metrics.__name__}"


def test_a_file_for_each_kind_of_user(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "radstream-hospital",
        "radstream-operations",
        "radstream-results",
        "radstream-engineering",
    }
