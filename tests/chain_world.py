"""A small archive with chains, for tests: real files, validated by the real step, and a clock that is moved by hand."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from consumers.validate.config import Limits
from consumers.validate.step import Validate
from radstream.verifying.finding import Finding, Report
from radstream.verifying.verifying import Scope, Verifying
from streams import part10
from streams.chains.config import Settings
from streams.chains.keys import Signing, Trusted, create
from streams.chains.running import chaining
from streams.chains.step import Seen
from streams.deciding import Deciding
from streams.decisions import Entities
from streams.events import SUBJECTS, ChainHead, Event, InstanceValidated, ObjectRef, StudyChain
from streams.identity import original_key
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.step import Done, Input, NewObject
from streams.stored_file import stored_file
from streams.wire import Message, Record, SchemaIds, decode, encode
from tests import images
from tests.deciding_world import PARTITIONS, QUIET_S, TENANT, HandClock, new_world
from tests.hooked_log import HookedLog, Hooks
from tests.instance_events import instance_of, meta_of, received_of
from tests.received import identity
from tests.worlds import context_of

STORES = ("hot", "warm", "cold", "backup")
SIGN_S = 30.0


def study_uid(study: int) -> str:
    return f"2.25.{1000 + study}"


def file_of(study: int, image: int, encoding: str = "explicit") -> bytes:
    """An image of 24 x 20 pixels, as the router stores it."""
    pixels = np.random.default_rng(1000 * study + image).integers(0, 4000, (1, 24, 20), np.uint16)
    uids = {
        "StudyInstanceUID": study_uid(study),
        "SeriesInstanceUID": f"{study_uid(study)}.{image % 2}",
        "SOPInstanceUID": f"{study_uid(study)}.{image % 2}.{image}",
    }
    data = images.native(pixels, encoding, **uids, InstanceNumber=image, StudyDescription="a study made for a test")
    meta, start = part10.file_meta(data)
    return stored_file(images.CT, uids["SOPInstanceUID"], meta[part10.TRANSFER_SYNTAX_UID], data[start:])


@dataclass
class Member:
    """One process of the service."""

    deciding: Deciding[Entities[Seen]]
    log: HookedLog

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.deciding.turn(0.0)


@dataclass
class Archive:
    """`keys` is a folder for the key files. `refs` is by study and image."""

    keys: Path
    log: MemoryLog = field(default_factory=lambda: new_world().log)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: HandClock = field(default_factory=HandClock)
    refs: dict[tuple[int, int], ObjectRef] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.keys / "chain-keys").exists():
            create(self.keys / "chain-keys", self.keys / "chain-keys.public")
        self.producer = self.log.producer()
        self._validate = Validate(identity("validate"), self.store, Limits())
        self._read = 0

    def member(self) -> Member:
        log = HookedLog(self.log, "", Hooks())
        context = context_of("chains", TENANT, log, self.store, self.clock)
        settings = Settings(http_port=0, key_file=self.keys / "chain-keys", quiet_s=QUIET_S, sign_every_s=SIGN_S)
        return Member(chaining(context, settings, Signing(settings.key_file)), log)

    @cached_property
    def _standing(self) -> Member:
        return self.member()

    def receive(self, study: int, *numbers: int, encoding: str = "explicit") -> None:
        """Stores files, has each validated, and says so in the log."""
        for number in numbers:
            data = file_of(study, number, encoding)
            self.say(self.validated(study, number, data))

    def validated(self, study: int, image: int, data: bytes) -> InstanceValidated:
        digest = hashlib.sha256(data).hexdigest()
        uids = (study_uid(study), f"{study_uid(study)}.{image % 2}", f"{study_uid(study)}.{image % 2}.{image}")
        ref = self.store.create(NewObject(TENANT, "hot", original_key(TENANT, *uids, digest), data)).ref
        self.refs[study, image] = ref
        received = received_of(meta_of(digest, tenant=TENANT), instance_of(uids, digest), ref)
        self._read += 1
        item = Input(received, Record("imaging.instance.received", "id", 0, self._read, 0, None, None))
        (made,) = self._validate([item], self.clock)
        assert isinstance(made, Done), made
        (event,) = made.events(())
        assert isinstance(event, InstanceValidated)
        return event

    def say(self, event: Event) -> None:
        self.producer.send(encode(event, SchemaIds(), source="test")).result()

    def quiet(self, *members: Member) -> None:
        """What was said is read, linked and signed: by one member that stays, where none is given."""
        members = members or (self._standing,)
        for _ in range(3):
            for member in members:
                member.turn(3)
            self.clock.seconds += max(QUIET_S, SIGN_S)
            for member in members:
                member.turn(3)

    def events(self, kind: type[Event]) -> list[Event]:
        (count,) = {PARTITIONS if kind is StudyChain else 1}
        names = [TopicPartition(SUBJECTS[kind], number) for number in range(count)]
        return [
            decode(record)
            for name, (first, end) in self.log.bounds(names).items()
            for record in self.log.read(name, first, end)
        ]

    def chain(self, study: int) -> list[StudyChain]:
        """The records that count, in the order of the log."""
        first: dict[int, StudyChain] = {}
        for event in self.events(StudyChain):
            if isinstance(event, StudyChain) and event.study_uid == study_uid(study):
                first.setdefault(event.seq, event)
        return list(first.values())

    def heads(self) -> list[ChainHead]:
        return [event for event in self.events(ChainHead) if isinstance(event, ChainHead)]

    # What goes wrong.

    def bytes_of(self, ref: ObjectRef) -> bytes:
        return self.store._held[ref.store, ref.key].data

    def put_over(self, ref: ObjectRef, data: bytes) -> None:
        """The disk gives other bytes back than it was given, under the same version."""
        self.store._held[ref.store, ref.key] = replace(self.store._held[ref.store, ref.key], data=data)

    def flip(self, ref: ObjectRef, bit: int) -> None:
        data = bytearray(self.bytes_of(ref))
        data[bit // 8] ^= 1 << bit % 8
        self.put_over(ref, bytes(data))

    def drop(self, ref: ObjectRef) -> None:
        del self.store._held[ref.store, ref.key]

    def rewrite(self, topic: str, number: int, offset: int, event: Event) -> None:
        """Somebody writes into the log's own files."""
        record = self.log._topics[topic].partitions[number].records[offset]
        message: Message = encode(event, SchemaIds(), source="test")
        self.log._topics[topic].partitions[number].records[offset] = replace(record, value=message.value)

    # Verifying.

    def verify(
        self,
        *studies: int,
        later: timedelta = timedelta(0),
        stores: Sequence[str] = STORES,
        since: datetime | None = None,
    ) -> Report:
        scope = Scope(TENANT, stores, [study_uid(study) for study in studies], since)
        trusted = Trusted(self.keys / "chain-keys.public")
        told: list[tuple[str, int, int]] = []
        verifying = Verifying(self.log, self.store, trusted, scope, 2, lambda *what: told.append(what))
        return verifying.report(datetime.now(self.clock.now().tzinfo) + later)

    def wrong(self, *studies: int, later: timedelta = timedelta(0)) -> dict[str, Finding]:
        """Findings about objects, by key: at most one for each."""
        found = self.verify(*studies, later=later).findings
        keys = {finding.key: finding for finding in found if finding.key}
        assert len(keys) == len(found), found
        return {key: finding for key, finding in keys.items() if key}


def private_text(name: str, seed: bytes, *older: tuple[str, bytes]) -> str:
    """A file of private keys of which `name` is the current one."""
    keys = "".join(f'"{one}" = "{base64.b64encode(key).decode()}"\n' for one, key in ((name, seed), *older))
    return f'current = "{name}"\n\n[keys]\n{keys}'
