"""What the service `windows` counts, read from its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from streams import metrics
from streams.config import Config, ConfigError, Section

SECTION = "windows"
_ANSWER_S = 1.0

Place = tuple[str, str, str]


class Listening(Section, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Where the service is, of its section."""

    http_port: int
    http_host: str = "127.0.0.1"


@dataclass(frozen=True)
class Window:
    """The last whole window: records of a topic, lane and modality, and the time since their instance's receipt.

    Seconds since the Unix epoch for `start`. A picture and no account: docs/decisions/0021.
    """

    start: float
    length_s: float
    topic: str
    lane: str
    modality: str
    per_s: float
    latency_mean_s: float | None
    latency_max_s: float | None


def windows_of(config: Config) -> list[Window] | None:
    """The busiest first; None where the service is not configured or does not answer."""
    try:
        listening = config.section(SECTION, Listening)
    except ConfigError:
        return None
    url = f"http://{listening.http_host}:{listening.http_port}/metrics"
    try:
        answer = urllib3.request("GET", url, timeout=_ANSWER_S, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return parsed(answer.data.decode("utf-8", "replace")) if answer.status == 200 else None


def parsed(text: str) -> list[Window]:
    """Of the Prometheus text format."""
    families = {family.name: family for family in text_string_to_metric_families(text)}

    def values(gauge: Gauge) -> Mapping[Place, float]:
        family = families.get(_name(gauge))
        if family is None:
            return {}
        return {
            (one.labels.get("topic", ""), one.labels.get("lane", ""), one.labels.get("modality", "")): one.value
            for one in family.samples
        }

    means, longest = values(metrics.WINDOW_LATENCY_MEAN_SECONDS), values(metrics.WINDOW_LATENCY_MAX_SECONDS)
    start, length_s = values(metrics.WINDOW_START), values(metrics.WINDOW_LENGTH_SECONDS)
    everywhere = ("", "", "")
    found = [
        Window(start[everywhere], length_s[everywhere], *place, per_s, means.get(place), longest.get(place))
        for place, per_s in values(metrics.WINDOW_RATE).items()
    ]
    return sorted(found, key=lambda one: (-one.per_s, one.topic, one.lane, one.modality))


def _name(gauge: Gauge) -> str:
    return next(iter(gauge.describe())).name
