"""Protected blocks: patient attributes and free text, encrypted, once per study or series, outside the log.

Events carry a `ProtectedRef` and never a name. Erasing the object erases the attributes from every rebuild.

A block is the canonical JSON of `{DICOM keyword: value or values}`, perhaps with what it is about. Its name is
HMAC-SHA-256 under the site's key, so that equal blocks are one object, while nobody without the key can test a guessed
name against the store. The object is

    "RSP1", length of the key id (1 byte), key id (ASCII), AES-256-SIV of the block

SIV (RFC 5297) because it is deterministic: two routers that meet the same study at the same time write the same
bytes, and the conditional create has no loser. Modes with a nonce (GCM) would need one that never repeats, over
processes and restarts, and break altogether where it does. What SIV gives away, that two ciphertexts are of the same
block, the name gives away already. Tenant, block id, scheme and key id are associated data: a block that is moved to
another name or tenant does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import unicodedata
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from streams.events import Encryption, ObjectRef, ProtectedBlock, ProtectedNote, ProtectedRef
from streams.identity import protected_key
from streams.objects import Absent, Damaged, ObjectStore
from streams.protected_keys import Keys
from streams.step import NewObject

Level = Literal["study", "series"]
NOTE: Literal["note"] = "note"
# What an order says as a whole, what it says of one of its steps, and what a modality says of one performed; whose a
# study from outside is here.
Part = Literal["order", "step", "performed", "import"]
Kind = Level | Literal["note"] | Part
Attributes = dict[str, str | list[str]]
Ref = ProtectedRef | ProtectedNote | ProtectedBlock

SCHEME = "AES-256-SIV"
STORE = "hot"
MAGIC = b"RSP1"
REMEMBERED_MAX = 4096  # studies and series in the air at once, with room to spare; 1 KB each


@dataclass(frozen=True)
class Erased:
    """The block is not in the store. What remains of the attributes is this tombstone.

    An absent block reads as erased: whether somebody erased it, and why, the log's audit events say.
    """

    block_id: str


class Unopened(Exception):
    """The object is whole but does not open: another key, tenant or name than it was made with, or a forgery."""


def canonical(attributes: Mapping[str, str | list[str]]) -> bytes:
    """The one encoding of a block: JSON in UTF-8, keys sorted, strings in NFC, no white space.

    Characters above ASCII are escaped, so that a lone surrogate of a badly decoded value is encoded as well.
    """
    return _json({_nfc(name): _normal(value) for name, value in attributes.items()})


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _normal(value: str | list[str]) -> str | list[str]:
    return _nfc(value) if isinstance(value, str) else [_nfc(item) for item in value]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def block_id(naming: bytes, tenant: str, level: Kind, block: bytes) -> str:
    """HMAC-SHA-256 (hex) under the site's key, over tenant, level and the canonical block."""
    return hmac.new(naming, _json([tenant, level]) + b"\n" + block, hashlib.sha256).hexdigest()


class ProtectedBlocks:
    """Writes and reads the blocks of one tenant. Safe for many threads."""

    def __init__(self, store: ObjectStore, keys: Keys, tenant: str) -> None:
        self._store = store
        self._keys = keys
        self._tenant = tenant
        self._remembered: OrderedDict[str, ObjectRef] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, level: Level, attributes: Mapping[str, str | list[str]]) -> ProtectedRef:
        """Stores a block once, however often it is put. Durable when it returns.

        What was put lately is remembered by its id, so the 2,000 instances of a study cost one object. Raises
        StoreAway, StoreRefused, and Damaged where something that is no block has its key.
        """
        name, placed = self._put(level, attributes)
        return ProtectedRef(level=level, block_id=name, object=placed)

    def put_note(self, about: str, text: str) -> ProtectedNote:
        """Stores free text. `about` names the event it belongs to: two equal notes are two blocks, erased one by one.

        Raises as `put`.
        """
        name, placed = self._put(NOTE, {"About": about, "Note": text})
        return ProtectedNote(block_id=name, object=placed)

    def put_part(self, kind: Part, about: str, attributes: Mapping[str, str | list[str]]) -> ProtectedBlock:
        """Stores what is said of `about` alone: two orders that say the same have two blocks. Raises as `put`."""
        name, placed = self._put(kind, {**attributes, "About": about})
        return ProtectedBlock(block_id=name, object=placed)

    def pseudonym(self, *names: str) -> uuid.UUID:
        """The same for the same names, and nobody without the site's key can test a guess: HMAC-SHA-256, cut."""
        named = hmac.new(self._keys.naming(), _json([self._tenant, "pseudonym", *names]), hashlib.sha256).digest()
        return uuid.UUID(bytes=named[:16], version=5)

    def read_note(self, note: ProtectedNote) -> str | Erased:
        """The text of a note. Raises as `read`, and Unopened for a block that is no note."""
        found = self.read(note)
        if isinstance(found, Erased):
            return found
        if not isinstance(text := found.get("Note"), str):
            raise Unopened(f"block {note.block_id} is no note")
        return text

    def read(self, ref: Ref) -> Attributes | Erased:
        """The attributes of a block. Raises Damaged, UnknownKey, Unopened, StoreAway."""
        try:
            data = self._store.read(ref.object)
        except Absent:
            return Erased(ref.block_id)
        key_id, sealed = _parse(data)
        try:
            block = AESSIV(self._keys.encryption(key_id)).decrypt(sealed, self._associated(ref.block_id, key_id))
        except InvalidTag:
            raise Unopened(f"block {ref.block_id} does not open with key '{key_id}'") from None
        # Not msgspec.json, which refuses lone surrogates.
        return msgspec.convert(json.loads(block), Attributes)

    def _put(self, level: Kind, attributes: Mapping[str, str | list[str]]) -> tuple[str, ObjectRef]:
        block = canonical(attributes)
        name = block_id(self._keys.naming(), self._tenant, level, block)
        with self._lock:
            if (known := self._remembered.get(name)) is not None:
                self._remembered.move_to_end(name)
                return name, known
        placed = self._create(name, block)
        with self._lock:
            self._remembered[name] = placed
            while len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return name, placed

    def _create(self, name: str, block: bytes) -> ObjectRef:
        key_id = self._keys.current()
        sealed = AESSIV(self._keys.encryption(key_id)).encrypt(block, self._associated(name, key_id))
        data = MAGIC + bytes((len(key_id),)) + key_id.encode("ascii") + sealed
        stored = self._store.create(NewObject(self._tenant, STORE, protected_key(self._tenant, name), data))
        # Whoever was first may have had another current key.
        encryption = Encryption(scheme=SCHEME, key_id=_parse(bytes(stored.data))[0])
        placed: ObjectRef = msgspec.structs.replace(stored.ref, encryption=encryption)
        return placed

    def _associated(self, name: str, key_id: str) -> list[bytes]:
        return [part.encode() for part in (SCHEME, self._tenant, name, key_id)]


def _parse(data: bytes) -> tuple[str, bytes]:
    """Key id and ciphertext. Raises Damaged."""
    start = len(MAGIC) + 1
    if len(data) <= start or not data.startswith(MAGIC) or len(data) < start + data[start - 1]:
        raise Damaged("not a protected block")
    end = start + data[start - 1]
    if not (key_id := data[start:end]).isascii():
        raise Damaged("not a protected block")
    return key_id.decode("ascii"), data[end:]
