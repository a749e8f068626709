"""The generation of a step: a number that the log assigns to what makes its output.

The number stands for a digest of (step, code version, configuration that affects the output, models). The code version
is an integer in the step's own source, raised by hand when a change of code changes what comes out. It is not the
package's version: a release that mends the command line would otherwise make a second copy of every derivative in the
archive. The package's version is the `build`, which is recorded for people and decides nothing.

Numbers are claimed by writing them: propose the next free one, read back, and the first record with a number has it.
That needs every record in its place for ever, so the topic is not compacted; it grows by a record for each change of a
step, and by a few for each replay (`streams.replays`), whose name is part of its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from schemas import Lane, load_topics
from streams.clock import Clock
from streams.config import Site
from streams.events import SUBJECTS, Event, InputRef, Meta, Provenance, Replay, StepGeneration
from streams.identity import event_id
from streams.log import Log, LogAway, TopicPartition
from streams.step import Input
from streams.wire import SchemaIds, decode, encode

TOPIC = SUBJECTS[StepGeneration]
_ACKNOWLEDGED_S_MAX = 30.0
# Every lost race means that somebody else got a number; a hundred in a row is a fault, not a race.
_TRIES_MAX = 100


@dataclass(frozen=True)
class StepIdentity:
    """A step as results name it. `generation` 0 is for facts, which are never computed anew."""

    name: str
    build: str
    generation: int
    config_digest: str
    models: tuple[str, ...] = ()

    def event_id(self, tenant: str, subject: str, ordinal: int) -> str:
        return event_id(tenant, self.name, subject, ordinal, self.generation)

    def provenance(self, *inputs: Input[Event]) -> Provenance:
        return self.provenance_of(tuple(item.ref for item in inputs))

    def provenance_of(self, inputs: tuple[InputRef, ...]) -> Provenance:
        return Provenance(
            step=self.name,
            build=self.build,
            generation=self.generation,
            config_digest=self.config_digest,
            models=self.models,
            inputs=inputs,
        )


def build() -> str:
    """Version of the code that runs."""
    return version("radstream")


def of_facts(name: str, config_digest: str = "") -> StepIdentity:
    """The identity of what states facts (the router, decisions, audit): generation 0, without a claim."""
    return StepIdentity(name, build(), 0, config_digest)


def meta_of_fact(site: Site, clock: Clock, step: str, subject: str, lane: Lane = "routine") -> Meta:
    """The envelope of a fact or a command; who writes it twice with one subject has written it once."""
    return Meta(
        event_id=event_id(site.tenant, step, subject, 0, 0),
        tenant=site.tenant,
        site=site.site,
        lane=lane,
        subject=subject,
        occurred_at=clock.now(),
    )


def digest_of(
    step: str, code_version: int, config_digest: str, models: tuple[str, ...] = (), replay: Replay | None = None
) -> str:
    """SHA-256 (hex) of what makes a step's output; of a replay also its name, so that equal ones can be made again."""
    named = [] if replay is None else [replay.name]
    made_by = [step, code_version, config_digest, sorted(models), *named]
    return hashlib.sha256(json.dumps(made_by).encode()).hexdigest()


def claim(
    log: Log,
    ids: SchemaIds,
    site: Site,
    clock: Clock,
    *,
    step: str,
    code_version: int,
    config_digest: str,
    models: tuple[str, ...] = (),
    replay: Replay | None = None,
) -> StepIdentity:
    """The step's identity, with the number that the log has for it, or a new one.

    Several processes may claim at once: those of one digest get one number, those of different digests different ones.
    Raises LogAway, LogRefused, and UnknownSchema or Undecodable where the topic holds what this build cannot read.
    """
    digest = digest_of(step, code_version, config_digest, models, replay)
    for _ in range(_TRIES_MAX):
        holders = holders_of(generations(log), site.tenant, step)
        for number, holder in holders.items():
            if holder == digest:
                return StepIdentity(step, build(), number, config_digest, models)
        claimed = StepGeneration(
            meta=meta_of(site, clock, f"{step}/{digest}", 0, max(holders, default=0) + 1),
            step=step,
            digest=digest,
            number=max(holders, default=0) + 1,
            build=build(),
            config_digest=config_digest,
            models=models,
            replay=replay,
        )
        write(log, ids, site, claimed)
    raise RuntimeError(f"{TOPIC}: no number for {step} after {_TRIES_MAX} tries")


def generations(log: Log) -> Iterable[StepGeneration]:
    """What the topic holds, in its order. Raises LogAway, LogRefused, UnknownSchema, Undecodable."""
    (topic,) = load_topics().physical(TOPIC)
    partition = TopicPartition(topic, 0)
    start, end = log.bounds([partition])[partition]
    for record in log.read(partition, start, end):
        event = decode(record)
        if isinstance(event, StepGeneration):
            yield event


def holders_of(claims: Iterable[StepGeneration], tenant: str, step: str) -> dict[int, str]:
    """Which digest has each number. A digest that has one gets no second."""
    holders: dict[int, str] = {}
    for claimed in claims:
        if (claimed.meta.tenant, claimed.step) == (tenant, step) and claimed.digest not in holders.values():
            holders.setdefault(claimed.number, claimed.digest)
    return holders


def meta_of(site: Site, clock: Clock, subject: str, ordinal: int, number: int) -> Meta:
    return Meta(
        event_id=event_id(site.tenant, "generation", subject, ordinal, number),
        tenant=site.tenant,
        site=site.site,
        lane="routine",
        subject=subject,
        occurred_at=clock.now(),
    )


def write(log: Log, ids: SchemaIds, site: Site, event: StepGeneration) -> None:
    """Raises LogAway, LogRefused."""
    producer = log.producer()
    try:
        producer.send(encode(event, ids, source=f"radstream/{site.site}/generation")).result(_ACKNOWLEDGED_S_MAX)
    except TimeoutError:
        raise LogAway(f"{TOPIC}: no acknowledgement in {_ACKNOWLEDGED_S_MAX:g} s") from None
    finally:
        producer.close(_ACKNOWLEDGED_S_MAX)
