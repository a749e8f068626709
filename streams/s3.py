"""The object store over S3: obstore for the bytes, boto3 for control.

Creation is conditional (`If-None-Match: *`) and carries a SHA-256 that the store checks. What a store really enforces
of this is probed at start (`streams.probe`), since some gateways ignore headers without a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import obstore.store
from obstore.exceptions import AlreadyExistsError, BaseError

from streams import s3_clients, s3_control, s3_refusals, s3_restoring
from streams.config import ConfigError, Store
from streams.events import ObjectRef
from streams.objects import Absent, Archived, Damaged, Listed, StoreAway, StoreRefused
from streams.step import NewObject, Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore import GetOptions, GetResult

_PIECE_BYTES = 1 << 20

_ABSENT = {"NoSuchKey", "NoSuchVersion"}
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


class S3Store:
    """Implements `streams.objects.ObjectStore`. Safe for many threads; one pool of connections for each bucket."""

    def __init__(self, config: Store) -> None:
        self._config = config
        self._clients = s3_clients.Clients(config)

    def create(self, new: NewObject) -> Stored:
        """Creates the object, or reads back what has its key already. Durable when it returns.

        `Stored.ref` is of what the store holds: compare its `sha256` where the key promises certain bytes. Raises
        StoreAway, StoreRefused, ConfigError for a store that [store.buckets] does not name, ValueError for a key S3
        cannot hold.
        """
        store = self._store(new.store, len(new.data))
        try:
            # Never in parts: a multipart upload is not conditional everywhere.
            result = obstore.put(store, new.key, new.data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return self._read_back(new)
        except (BaseError, OSError) as error:
            if said := s3_refusals.refusal(error):
                raise self._refused(new, said) from error
            raise self._away(error) from error
        ref = _whole(new.tenant, new.store, new.key, new.data, result["version"], new.sha256)
        return Stored(ref, new.data, created=True)

    def find(self, tenant: str, store: str, key: str) -> Stored | None:
        try:
            result = self._get(ObjectRef(tenant=tenant, store=store, key=key, length=0, size=0, sha256=""), {})
        except Archived:
            raise
        except Absent:
            return None
        data = self._body(result)
        return Stored(_whole(tenant, store, key, data, result.meta["version"]), data, created=False)

    def read(self, ref: ObjectRef) -> bytes:
        if ref.length == 0:
            self._peek(ref)
            # An original that a crash of the store's machine left empty is listed with no bytes, and is not whole.
            if ref.sha256 != _OF_NOTHING:
                raise Damaged(f"{ref.store}/{ref.key} has no bytes, and another SHA-256 than its reference")
            return b""
        options: GetOptions = {}
        if ref.length != ref.size:
            options["range"] = (ref.offset, ref.offset + ref.length)
        result = _of_size(ref, self._get(ref, options))
        data = self._body(result)
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise Damaged(f"{ref.store}/{ref.key} has another SHA-256 than its reference")
        return data

    def head(self, ref: ObjectRef, length: int) -> bytes:
        options: GetOptions = {"range": (0, min(length, ref.size))} if ref.size else {}
        try:
            result = self._get(ref, options)
        except Damaged as error:
            # Nothing is there to be looked at, whatever the reference says.
            raise Absent(f"{ref.store}/{ref.key}") from error
        return self._body(result)[:length]

    def stream(self, ref: ObjectRef) -> Iterator[bytes]:
        # An empty object has no first byte to ask for; a plain GET serves all.
        result = self._get(ref, {})
        try:
            for piece in result.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)
        except (BaseError, OSError) as error:
            raise self._away(error) from error

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        end = min(start + length, ref.size)
        result = _of_size(ref, self._get(ref, {"range": (start, end)} if start < end else self._first_byte(ref)))
        return self._body(result) if start < end else b""

    async def pieces(self, ref: ObjectRef) -> AsyncIterator[bytes]:
        if not ref.length:
            await self._get_async(ref, self._first_byte(ref))
            return
        options: GetOptions = {}
        if ref.length != ref.size:
            options["range"] = (ref.offset, ref.offset + ref.length)
        result = await self._get_async(ref, options)
        try:
            async for piece in result.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)
        except (BaseError, OSError) as error:
            raise self._away(error) from error

    def exists(self, ref: ObjectRef) -> bool:
        try:
            self._peek(ref)
        except (Archived, Damaged):
            return True
        except Absent:
            return False
        return True

    def restore(self, ref: ObjectRef) -> bool:
        self._store(ref.store)
        return s3_restoring.restore(self._control, self._config, ref)

    def keys(self, store: str, prefix: str = "") -> Iterator[tuple[str, int]]:
        self._store(store)
        return s3_control.list_keys(self._control, self._config, self._config.buckets[store], prefix)

    def listed(self, store: str, prefix: str) -> Iterator[Listed]:
        self._store(store)
        return s3_control.list_versions(self._control, self._config, self._config.buckets[store], prefix)

    def delete(self, ref: ObjectRef) -> bool:
        if ref.version_id is None:
            raise ValueError(f"{ref.store}/{ref.key}: only an exact version is ever deleted")
        self._store(ref.store)
        bucket = self._config.buckets[ref.store]
        return s3_control.delete_version(self._control, self._config, bucket, ref.key, ref.version_id)

    @property
    def archived(self) -> Collection[str]:
        return self._config.archived

    @property
    def objects_folder(self) -> Path | None:
        return self._config.objects_folder

    @property
    def names(self) -> Collection[str]:
        return tuple(self._config.buckets)

    @cached_property
    def _control(self) -> S3Client:
        return s3_control.client(self._config)

    def _store(self, name: str, put_bytes: int = 0) -> obstore.store.S3Store:
        if name not in self._config.buckets:
            raise ConfigError(f"[store.buckets] does not name the store '{name}'; add it: {name} = \"<bucket>\"")
        return self._clients.of(self._config.buckets[name], put_bytes)

    def _peek(self, ref: ObjectRef) -> None:
        """Asks for one byte: a HEAD that fails has no body, and so does not say what is absent, object or bucket."""
        self._get(ref, self._first_byte(ref))

    def _first_byte(self, ref: ObjectRef) -> GetOptions:
        return {"range": (0, 1)} if ref.size else {}

    def _get(self, ref: ObjectRef, options: GetOptions) -> GetResult:
        with self._translated(ref, options):
            return obstore.get(self._store(ref.store), ref.key, options=options)

    async def _get_async(self, ref: ObjectRef, options: GetOptions) -> GetResult:
        with self._translated(ref, options):
            result = await obstore.get_async(self._store(ref.store), ref.key, options=options)
        return _of_size(ref, result)

    @contextmanager
    def _translated(self, ref: ObjectRef, options: GetOptions) -> Iterator[None]:
        """Asks for the version that the reference names. Raises Absent, Damaged, StoreAway for obstore's errors."""
        if ref.version_id is not None:
            options["version"] = ref.version_id
        try:
            yield
        except FileNotFoundError as error:
            if s3_refusals.code(error) in _ABSENT:
                raise Absent(f"{ref.store}/{ref.key}") from error
            raise self._away(error) from error
        except (BaseError, OSError) as error:
            if s3_refusals.code(error) == s3_restoring.ARCHIVED:
                raise Archived(f"{ref.store}/{ref.key}") from error
            if s3_refusals.code(error) == "InvalidRange":
                raise Damaged(f"{ref.store}/{ref.key} is shorter than its reference says") from error
            raise self._away(error) from error

    def _body(self, result: GetResult) -> bytes:
        try:
            return result.bytes().to_bytes()
        except (BaseError, OSError) as error:
            raise self._away(error) from error

    def _read_back(self, new: NewObject) -> Stored:
        """What has the key already. It may be gone again, or a folder of a gateway that maps keys to files."""
        try:
            found = self._as_promised(new) or self.find(new.tenant, new.store, new.key)
        except Archived:
            found = self._same(new)
        except StoreAway as error:
            # versitygw answers that a key is there which is too long for its disk, and says so when that is read.
            if isinstance(error.__cause__, Exception) and (said := s3_refusals.refusal(error.__cause__)):
                raise self._refused(new, said) from error
            raise
        if found is None:
            raise StoreAway(f"{new.store}/{new.key} can be neither created nor read; try again")
        return found

    def _as_promised(self, new: NewObject) -> Stored | None:
        """What has the key, where it is what `new` promises: of gigabytes that come again none is in memory twice.

        None where it is something else, or nothing was promised. Raises Archived, StoreAway.
        """
        if new.sha256 is None:
            return None
        ref = ObjectRef(tenant=new.tenant, store=new.store, key=new.key, length=0, size=0, sha256="")
        try:
            result = self._get(ref, {})
            if result.meta["size"] != len(new.data):
                return None
            found = hashlib.sha256()
            for piece in result.stream(min_chunk_size=_PIECE_BYTES):
                found.update(piece)
        except Archived:
            raise
        except Absent:
            return None
        except (BaseError, OSError) as error:
            raise self._away(error) from error
        if found.hexdigest() != new.sha256:
            return None
        whole = _whole(new.tenant, new.store, new.key, new.data, result.meta["version"], new.sha256)
        return Stored(whole, new.data, created=False)

    def _same(self, new: NewObject) -> Stored | None:
        """What has the key and cannot be read now, where the digest that the store keeps of it is that of `new`."""
        kept = s3_restoring.kept(self._control, self._config, new.store, new.key)
        digest = hashlib.sha256(new.data).hexdigest()
        if kept is None or kept.sha256 != digest:
            return None
        ref = _whole(new.tenant, new.store, new.key, new.data, kept.version_id, digest)
        return Stored(ref, new.data, created=False)

    def _away(self, error: Exception) -> StoreAway:
        return s3_control.away(self._config, s3_refusals.answer(error))

    def _refused(self, new: NewObject, said: str) -> StoreRefused:
        at, size = self._config.endpoint, len(new.data)
        return StoreRefused(
            f"the object store at {at}, or a proxy before it, refuses an object of {size} bytes ({said})"
        )


def _whole(
    tenant: str, store: str, key: str, data: bytes | memoryview, version_id: str | None, sha256: str | None = None
) -> ObjectRef:
    return ObjectRef(
        tenant=tenant,
        store=store,
        key=key,
        version_id=version_id,
        length=len(data),
        size=len(data),
        sha256=sha256 or hashlib.sha256(data).hexdigest(),
    )


def _of_size(ref: ObjectRef, result: GetResult) -> GetResult:
    """Raises Damaged where the whole object has another size than its reference says."""
    if result.meta["size"] != ref.size:
        raise Damaged(f"{ref.store}/{ref.key} has {result.meta['size']} bytes, not {ref.size}")
    return result
