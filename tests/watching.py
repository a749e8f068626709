"""`radstream lag --watch --json` as a script reads it, small images to make it move, and services' metrics."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import urllib3
from confluent_kafka import murmur2
from prometheus_client.parser import text_string_to_metric_families

from radstream.items import Item
from radstream.sending import SUCCESS, send_items
from streams.config import Site
from streams.file_head import split
from streams.identity import partition_key
from tests.images import CT, native
from tests.pipeline_run import router_of
from tests.running_stack import RunningStack
from tests.waiting import DEADLINE_S

EXPLICIT = "1.2.840.10008.1.2.1"


def new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def study_in_each_partition(stack: RunningStack, partitions: int) -> list[str]:
    """A new StudyInstanceUID for each partition of the instance topics."""
    tenant = stack.config.section("site", Site).tenant
    found: dict[int, str] = {}
    while len(found) < partitions:
        uid = new_uid()
        found.setdefault(murmur2(partition_key(tenant, uid), partitions), uid)
    return [found[number] for number in range(partitions)]


def send_one_of_each(stack: RunningStack, studies: Collection[str], modality: str = "CT") -> None:
    """A new image of 8 x 8 pixels for each study."""
    sent = send_items([_item(study, modality) for study in studies], router_of(stack), retries=20)
    assert sent.statuses == {f"{SUCCESS:04X}": len(studies)}, sent


def _item(study: str, modality: str) -> Item:
    uid = new_uid()
    file = native(
        np.zeros((1, 8, 8), np.uint16),
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1"[:64],
        SOPInstanceUID=uid,
        Modality=modality,
    )
    _, start = split(file)
    return Item(uid, CT, uid, EXPLICIT, lambda: file[start:])


class Watching:
    """The command, running; each call of `line` is its next line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text, f"the watch ended ({self._process.wait()})"
        found = json.loads(text)
        assert isinstance(found, dict)
        return found

    def until(self, true_of: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """The first line of which it is true."""
        end = time.monotonic() + DEADLINE_S
        while not true_of(found := self.line()):
            assert time.monotonic() < end, f"waited {DEADLINE_S:g} s in vain for {what}: {found}"
        return found


@contextmanager
def watching(stack: RunningStack, *groups: str) -> Iterator[Watching]:
    """Ends it as Ctrl-C does, and asserts that it ends well."""
    arguments = ["lag", *groups, "--watch", "--json", "--interval", "0.5", "--config", str(stack.config_path)]
    command = [sys.executable, "-m", "radstream", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield Watching(process)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(DEADLINE_S)
        assert code == 0


def lane_of(look: dict[str, Any], group: str, lane: str) -> dict[str, Any]:
    (found,) = [one for one in look["lanes"] if (one["group"], one["lane"]) == (group, lane)]
    assert isinstance(found, dict)
    return found


def metrics_text(stack: RunningStack, service: str) -> str:
    url = f"http://127.0.0.1:{stack.ports[f'{service}-http']}/metrics"
    return urllib3.request("GET", url, timeout=30.0).data.decode()


def metric(stack: RunningStack, service: str, name: str, **labels: str) -> float | None:
    return value_in(metrics_text(stack, service), name, **labels)


def value_in(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None
