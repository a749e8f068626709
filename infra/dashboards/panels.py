"""Panels and dashboards, as Grafana's JSON has them. A query is PromQL and the legend of its lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

WIDTH = 24  # of Grafana's grid
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${source}"}

Kind = Literal["timeseries", "stat", "table"]
# Grafana's names of units.
Unit = Literal["short", "s", "ops", "percentunit", "bytes", "Bps", "dateTimeFromNow"]


@dataclass(frozen=True)
class Query:
    """`legend` may have labels in double braces; empty takes Grafana's own."""

    promql: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """`says` is for the person who looks: what it means, and what to do when it looks wrong.

    `warn` and `bad` are values from which a figure is yellow and red.
    """

    title: str
    says: str
    queries: Sequence[Query]
    unit: Unit = "short"
    kind: Kind = "timeseries"
    width: int = 12
    warn: float | None = None
    bad: float | None = None


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    says: str
    panels: Sequence[Panel]
    tags: Sequence[str] = field(default=("radstream",))


def rendered(dashboard: Dashboard) -> dict[str, Any]:
    """The JSON of a dashboard: panels in rows, in the order in which they are given."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.says,
        "tags": list(dashboard.tags),
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Metrics", "type": "datasource", "query": "prometheus"}]},
        "panels": _placed(dashboard.panels),
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    placed, x, y = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > WIDTH:
            x, y = 0, y + HEIGHT
        placed.append(_panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": HEIGHT}))
        x += panel.width
    return placed


def _panel(number: int, panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "gridPos": dict(place),
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **_colours(panel)}, "overrides": []},
        "targets": [_target(chr(ord("A") + index), panel, query) for index, query in enumerate(panel.queries)],
    }


def _target(name: str, panel: Panel, query: Query) -> dict[str, Any]:
    return {
        "refId": name,
        "datasource": SOURCE,
        "expr": query.promql,
        "legendFormat": query.legend or "__auto",
        "instant": panel.kind != "timeseries",
        **({"format": "table"} if panel.kind == "table" else {}),
    }


def _colours(panel: Panel) -> dict[str, Any]:
    if panel.warn is None and panel.bad is None:
        return {}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [
        {"color": colour, "value": value}
        for colour, value in (("yellow", panel.warn), ("red", panel.bad))
        if value is not None
    ]
    drawn = {"custom": {"thresholdsStyle": {"mode": "line"}}} if panel.kind == "timeseries" else {}
    return {"thresholds": {"mode": "absolute", "steps": steps}, **drawn}
