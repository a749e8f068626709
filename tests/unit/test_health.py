"""A service says over HTTP whether it lives, whether it is ready, and what it counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
import urllib3
from prometheus_client import REGISTRY

from streams import metrics
from streams.config import ConfigError
from streams.health import Health, HealthServer, serve


class HandClock:
    """Time moves when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def health(clock: HandClock) -> Health:
    return Health(clock, silence_s_max=10)


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with closing(serve(health, "127.0.0.1", 0)) as running:
        yield running


def get(server: HealthServer, path: str) -> tuple[int, Any]:
    with urllib3.PoolManager(retries=False, timeout=30) as http:
        answer = http.request("GET", f"http://127.0.0.1:{server.port}{path}")
        body = answer.data.decode()
        return answer.status, json.loads(body) if body.startswith("{") else body


def ready(server: HealthServer) -> tuple[int, Any]:
    """The answer without what it says of the process."""
    status, said = get(server, "/readyz")
    assert (said.pop("pid"), said.pop("version")) == (os.getpid(), version("radstream"))
    return status, said


def test_not_ready_until_it_has_started_and_says_what_fails(health: Health, server: HealthServer) -> None:
    assert ready(server) == (503, {"ready": False, "failing": {"started": "still starting"}, "warnings": {}})
    health.ready("started", True)
    health.ready("store", False, "away")
    assert ready(server) == (503, {"ready": False, "failing": {"store": "away"}, "warnings": {}})
    health.ready("store", True)
    assert ready(server) == (200, {"ready": True, "failing": {}, "warnings": {}})


def test_alive_until_the_loop_is_silent_for_too_long(health: Health, clock: HandClock, server: HealthServer) -> None:
    clock.seconds += 100
    assert get(server, "/healthz")[0] == 200
    health.beat()
    clock.seconds += 10
    assert get(server, "/healthz") == (200, {"alive": True, "silence_s": 10.0})
    clock.seconds += 1
    assert get(server, "/healthz") == (503, {"alive": False, "silence_s": 11.0})
    health.beat()
    assert get(server, "/healthz")[0] == 200


def test_metrics_are_prometheus_text_with_the_process_itself(server: HealthServer) -> None:
    metrics.RECORDS.labels("health_test", "imaging.instance.received", "done").inc(3)
    status, text = get(server, "/metrics")
    assert status == 200
    counted = 'radstream_records_total{group="health_test",outcome="done",topic="imaging.instance.received"} 3.0'
    assert counted in text
    assert "process_cpu_seconds_total" in text


def test_another_path_names_the_three_that_are_there(server: HealthServer) -> None:
    assert get(server, "/nothing") == (404, "/metrics, /healthz or /readyz\n")


def test_a_port_in_use_is_one_clear_message(health: Health, server: HealthServer) -> None:
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{server.port} cannot be listened on .*another http_port"):
        serve(health, "127.0.0.1", server.port)


def test_what_is_away_is_a_metric_too(health: Health) -> None:
    health.ready("a-store", False, "it does not answer")
    assert failing("a-store") == 1
    health.ready("a-store", True)
    assert failing("a-store") == 0


def failing(check: str) -> float | None:
    return REGISTRY.get_sample_value("radstream_check_failing", {"check": check})
