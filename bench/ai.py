"""Inference: images per minute through the whole consumer with each backend, beside the bare model in the same run.

The consumer is the real one, with the real object store: its runner polls revisions, reads the images, analyses them,
makes SR and SEG, stores them and emits. The log alone is in memory, so that the group of the site's own service is left
as it is. What it writes belongs to a tenant of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from itertools import islice
from secrets import randbelow

from bench.ai_studies import SITE, BenchStudy, announced, stored
from bench.machine import Machine, machine
from consumers.ai import repository
from consumers.ai.analysis import Analysis
from consumers.ai.backends.backend import BATCH_MAX, Backend, sampling_of
from consumers.ai.backends.settings import Backends
from consumers.ai.config import Settings
from consumers.ai.deployments import backend_of
from consumers.ai.entries import ON, entries
from consumers.ai.nodules import Nodules
from consumers.ai.nodules import Settings as Chosen
from consumers.ai.result import Deployed
from consumers.ai.sampling import Floats, Sampled
from consumers.ai.step import Inference
from consumers.ai.volume import Volume
from radstream.errors import Failure
from schemas import load_topics
from streams.config import Config, Store
from streams.events import SUBJECTS, InferenceResult, ModelRef
from streams.generation import StepIdentity, build
from streams.held import HeldImages
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.objects import ObjectStore
from streams.runner import Runner
from streams.s3 import S3Store
from streams.service import Context
from streams.wire import SchemaIds, decode

MODEL = "nodule-ct"
STALLED_S_MAX = 300.0
POLL_S = 0.05


@dataclass(frozen=True)
class Contender:
    """`bare` is the network alone on prepared batches, `consumer` the whole service, both with as many threads. `share`
    is the one of the other. Milliseconds are for each image, as the results say."""

    backend: str
    device: str
    bare_images_per_min: float
    consumer_images_per_min: float
    share: float
    read_ms: float
    prepared_ms: float
    inferred_ms: float
    described_ms: float


@dataclass(frozen=True)
class Report:
    at: datetime
    machine: Machine
    model: str
    studies: int
    images: int
    threads: int
    gpu: str | None
    contenders: tuple[Contender, ...]


def measure(config: Config, studies: int, images: int, progress: Callable[[str, int, int], None]) -> Report:
    """Runs every backend that is at hand: onnxruntime, Triton where one is configured, torch where it is installed.

    `progress` is told what is measured, how far it goes, and how far it is. Raises Failure where nothing moves,
    ConfigError, StoreAway.
    """
    at = datetime.now(UTC)
    settings = config.section("ai", Settings) if "ai" in config.names else Settings(http_port=0)
    entry = next(one for one in entries(settings.deployments).values() if one.model == MODEL)
    model = repository.load(settings.repository, MODEL, entry.version)
    store = S3Store(config.section("store", Store))
    made: list[BenchStudy] = []
    for number in range(studies):
        progress("studies", studies, number)
        made.append(stored(store, number, images))
    measured = []
    for name in _at_hand(settings.backends):
        backend = backend_of(name, model, settings.backends)
        ref = ModelRef(
            name=MODEL, version=entry.version, digest=model.digest, card_digest=model.card_digest, backend=name
        )
        analysis = Nodules(f"bench-{name}", ref, entry.selection, backend, model, Chosen(**entry.settings))
        volumes = [study.volume for study in made]
        _bare(analysis, volumes[:1], 1)
        before_s = _bare(analysis, volumes, settings.runner.threads)
        consumed = partial(_consumed, config, store, analysis, settings)
        consumed(made[:1], lambda _: None)
        seconds, results = consumed(made, partial(progress, name, studies))
        # Before and after, so that what else the machine does meanwhile counts for both.
        bare_s = (before_s + _bare(analysis, volumes, settings.runner.threads)) / 2
        measured.append(_contender(analysis.backend, bare_s, seconds, results, studies * images))
    return Report(
        at=at,
        machine=machine(config.path.parent),
        model=f"{MODEL} {entry.version}",
        studies=studies,
        images=images,
        threads=settings.runner.threads,
        gpu=_gpu(),
        contenders=tuple(measured),
    )


def _at_hand(backends: Backends) -> Iterator[ON]:
    yield "onnxruntime"
    if backends.triton:
        yield "triton"
    if find_spec("torch") is not None:
        yield "torch"


def _gpu() -> str | None:
    if find_spec("torch") is None:
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _bare(analysis: Nodules, volumes: Sequence[Volume], threads: int) -> float:
    """Seconds for the network alone: batches are prepared before the clock starts."""
    prepared = [_batches(analysis, volume) for volume in volumes]
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for done in [pool.submit(_all, analysis.backend, batches) for batches in prepared]:
            done.result()
        return time.perf_counter() - began


def _batches(analysis: Nodules, volume: Volume) -> list[Floats]:
    return list(Sampled(sampling_of(analysis.loaded), volume).batches(BATCH_MAX))


def _all(backend: Backend, batches: Sequence[Floats]) -> None:
    for batch in batches:
        backend.run(batch)


def _consumed(
    config: Config,
    store: ObjectStore,
    analysis: Analysis,
    settings: Settings,
    studies: Sequence[BenchStudy],
    progress: Callable[[int], None],
) -> tuple[float, list[InferenceResult]]:
    """Seconds from the first revision in the log to the last result in it, and the results."""
    log, topics = MemoryLog(), load_topics()
    context = Context("ai", config, SITE, log, store, SchemaIds())
    for topic in topics.topics:
        for physical in topics.physical(topic):
            log.create_topic(physical, len(studies))
    # Of its own each time: a result that is kept is not made again.
    identity = StepIdentity(f"ai.{analysis.deployment}", build(), randbelow(1 << 31), hashlib.sha256().hexdigest())
    step = Inference(
        [Deployed(analysis, identity)], context.store, ("hot",), settings.limits, HeldImages(log, context.clock)
    )
    with _running(Runner(context, step, identity, settings.runner), context.stopping):
        began = moved = time.monotonic()
        for study in studies:
            log.append(announced(study))
        found: list[InferenceResult] = []
        while len(found) < len(studies):
            time.sleep(POLL_S)
            before, found = len(found), _results(log)
            progress(len(found))
            moved = time.monotonic() if len(found) > before else moved
            if time.monotonic() - moved > STALLED_S_MAX:
                raise Failure(
                    f"{len(found)} of {len(studies)} studies have a result, and nothing moved; see the lines above"
                )
        return time.monotonic() - began, found


@contextmanager
def _running(runner: Runner, stopping: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=runner.run, name="ai")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _results(log: MemoryLog) -> list[InferenceResult]:
    partitions = [
        TopicPartition(topic, number)
        for topic in load_topics().physical(SUBJECTS[InferenceResult])
        for number in range(log.partitions(topic))
    ]
    events = (
        decode(record)
        for partition, (start, end) in log.bounds(partitions).items()
        for record in islice(log.read(partition, start, end), end - start)
    )
    return [event for event in events if isinstance(event, InferenceResult)]


def _contender(
    backend: Backend, bare_s: float, seconds: float, results: Sequence[InferenceResult], images: int
) -> Contender:
    if wrong := {one.code or one.outcome for one in results if one.outcome != "analysed"}:
        raise Failure(f"{backend.name}: studies were not analysed ({', '.join(sorted(wrong))})")
    times = [one.timings for one in results]
    return Contender(
        backend=backend.name,
        device=backend.device,
        bare_images_per_min=round(60 * images / bare_s, 1),
        consumer_images_per_min=round(60 * images / seconds, 1),
        share=round(bare_s / seconds, 3),
        read_ms=round(sum(one.read_ms for one in times) / images, 2),
        prepared_ms=round(sum(one.prepared_ms for one in times) / images, 2),
        inferred_ms=round(sum(one.inferred_ms for one in times) / images, 2),
        described_ms=round(sum(one.described_ms for one in times) / images, 2),
    )
