"""Names and labels in PromQL, as far as our own rules and dashboards use it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import prometheus_client.metrics
from prometheus_client.core import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

# Ours, those of prometheus_client, and those of exporters that this project does not run.
_METRIC = re.compile(r"\b((?:radstream|process|python|node|kafka)[_:][a-zA-Z0-9_:]+|up)\b")
_MATCHERS = re.compile(r"\{([^{}]*)\}")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^()]*)\)")
FOREIGN = ("node_", "kafka_")
OF_THE_SCRAPE = {"job", "instance"}
_SUFFIXES = ("_bucket", "_sum", "_count", "_total")


@dataclass(frozen=True)
class Asked:
    """What an expression names."""

    metrics: frozenset[str]
    labels: frozenset[str]


def asked(promql: str) -> Asked:
    bare = re.sub(r'"[^"]*"', '""', promql)
    labels = {name for inner in _MATCHERS.findall(promql) for name in _LABEL.findall(inner)}
    labels |= {name.strip() for inner in _GROUPED.findall(bare) for name in inner.split(",") if name.strip()}
    without = _GROUPED.sub(" ", _MATCHERS.sub("{}", bare))
    return Asked(frozenset(_METRIC.findall(without)), frozenset(labels))


def shown(exposition: str) -> dict[str, set[str]]:
    """Labels by family, of what a service shows; a family that nothing has happened to yet has none."""
    return {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in text_string_to_metric_families(exposition)
    }


def declared(registry: CollectorRegistry = prometheus_client.REGISTRY) -> Mapping[str, set[str]]:
    """Labels by family, as streams/metrics.py declares them."""
    found: dict[str, set[str]] = {}
    for collector in list(registry._collector_to_names):
        if isinstance(collector, prometheus_client.metrics.MetricWrapperBase):
            found[collector._name] = set(collector._labelnames)
    return found


def family(metric: str) -> str:
    """The family of a sample's name (histograms and counters have suffixes)."""
    for suffix in _SUFFIXES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix)
    return metric
