"""Where copies are to be, by the last decision of tiering, and where they are, by the stores' lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from radstream.verifying.looking import Wanted
from radstream.verifying.unlinked import Loose
from streams.events import SUBJECTS, ChainLink, InstanceValidated, StudyChain, TierMoved
from streams.identity import original_key, partition_key
from streams.log import Log, TopicPartition
from streams.objects import ObjectStore
from streams.wire import Undecodable, decode

MOVED = SUBJECTS[TierMoved]
# Where every instance comes first (consumers/tiering/policy.py).
INTO = "hot"


class Places:
    """Of one partition. `refresh` reads on in the decisions. Used from one thread."""

    def __init__(self, log: Log, store: ObjectStore, number: int, stores: Collection[str]) -> None:
        self._log, self._store, self._stores = log, store, stores
        self._partition = TopicPartition(MOVED, number)
        self._last: dict[bytes, int] = {}
        self._read = 0
        self.refresh()

    def refresh(self) -> None:
        """Raises LogAway."""
        start, end = self._log.bounds([self._partition])[self._partition]
        self._read = max(self._read, start)
        if end > self._read:
            for record in self._log.read(self._partition, self._read, end):
                if record.key is not None:
                    self._last[record.key] = record.offset
        self._read = end

    def of(self, event: StudyChain) -> Iterator[Wanted]:
        """Each instance of a record, with the versions to read. Raises LogAway, StoreAway."""
        tenant, study_uid = event.meta.tenant, event.study_uid
        known = self._known(tenant, study_uid)
        listed = {
            name: {one.key: one.version_id for one in self._store.listed(name, f"{tenant}/studies/{study_uid}/")}
            for name in self._stores
        }
        siblings = {link.digest.hex(): link.sop_instance_uid for link in event.links}
        for link in event.links:
            series_uid, digest = event.series[link.series], link.digest.hex()
            key = original_key(tenant, study_uid, series_uid, link.sop_instance_uid, digest)
            copies = known.get(digest, {INTO: None})
            versions: dict[str, tuple[str | None, ...]] = {}
            for name, keys in listed.items():
                if key in keys or name in copies:
                    ids = [keys[key]] if key in keys else []
                    # One that was put over it is the newest; what tiering verified is what it named.
                    if (version_id := copies.get(name)) is not None and version_id not in ids:
                        ids.append(version_id)
                    versions[name] = tuple(ids)
            yield Wanted(tenant, study_uid, series_uid, key, link, versions, siblings)

    def of_event(self, event: Loose) -> Wanted:
        """An instance that is in no chain, with the newest version in each store that has it. Raises LogAway."""
        tenant, instance = event.meta.tenant, event.instance
        metadata = event.metadata_sha256 if isinstance(event, InstanceValidated) else None
        link = ChainLink(
            series=0,
            sop_instance_uid=instance.sop_instance_uid,
            digest=bytes.fromhex(instance.digest),
            metadata=bytes.fromhex(metadata) if metadata else None,
        )
        copies = self._known(tenant, instance.study_uid).get(instance.digest, {event.object.store: None})
        versions = {name: (None,) for name in copies if name in self._stores}
        return Wanted(tenant, instance.study_uid, instance.series_uid, event.object.key, link, versions, {})

    def stores_of(self, wanted: Wanted) -> Collection[str]:
        """Where tiering has a copy of an instance by its last decision."""
        return self._known(wanted.tenant, wanted.study_uid).get(wanted.link.digest.hex(), {INTO: None})

    def _known(self, tenant: str, study_uid: str) -> dict[str, dict[str, str | None]]:
        """By digest: the stores that have a copy, with its version."""
        offset = self._last.get(partition_key(tenant, study_uid))
        if offset is None:
            return {}
        (record,) = self._log.read(self._partition, offset, offset + 1)
        try:
            event = decode(record)
        except Undecodable:
            return {}
        if not isinstance(event, TierMoved):
            return {}
        return {item.digest: {copy.store: copy.version_id for copy in item.copies} for item in event.items}
