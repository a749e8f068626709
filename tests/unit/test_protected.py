"""Protected blocks: written once, read by whoever has the site's keys, by nobody else and nowhere else."""

from __future__ import annotations

import hashlib
import stat
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.config import ConfigError
from streams.events import ObjectRef, ProtectedNote, ProtectedRef
from streams.memory_store import MemoryStore
from streams.objects import Damaged
from streams.protected import Attributes, Erased, ProtectedBlocks, Unopened, block_id, canonical
from streams.protected_keys import FileKeys, UnknownKey, create_key_file
from streams.step import NewObject, Stored

STUDY: Attributes = {"PatientName": "Doe^Jane", "PatientID": "4711", "OtherPatientNames": ["Roe^Jane", "Müller^J"]}

text = st.text(
    st.characters(exclude_categories=()), max_size=20
)  # lone surrogates too: values are badly decoded at times
blocks = st.dictionaries(st.text(min_size=1, max_size=20), text | st.lists(text, max_size=3), max_size=8)


@dataclass(frozen=True)
class FixedKeys:
    """Keys of a test: one for each id, all of one byte."""

    naming_byte: int = 1
    known: tuple[str, ...] = ("first",)
    in_use: str = "first"
    salt: int = 0

    def current(self) -> str:
        return self.in_use

    def encryption(self, key_id: str) -> bytes:
        if key_id not in self.known:
            raise UnknownKey(key_id)
        return hashlib.sha512(f"{key_id}{self.salt}".encode()).digest()

    def naming(self) -> bytes:
        return bytes([self.naming_byte]) * 32


@dataclass
class CountingStore(MemoryStore):
    """Counts what is asked of it."""

    creations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def create(self, new: NewObject) -> Stored:
        self.creations.append(new.key)
        return super().create(new)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def blocks_of(store: MemoryStore, keys: FixedKeys | None = None, tenant: str = "general") -> ProtectedBlocks:
    return ProtectedBlocks(store, keys or FixedKeys(), tenant)


def replaced(store: MemoryStore, ref: ObjectRef, key: str, data: bytes) -> ObjectRef:
    """A reference, right in itself, to other bytes: what a forger would make."""
    return store.create(NewObject(ref.tenant, ref.store, key, data)).ref


def test_a_block_is_read_back(store: CountingStore) -> None:
    ref = blocks_of(store).put("study", STUDY)
    assert blocks_of(store).read(ref) == STUDY
    assert ref.level == "study"
    assert ref.object.key == f"general/protected/{ref.block_id}"
    assert ref.object.encryption is not None
    assert (ref.object.encryption.scheme, ref.object.encryption.key_id) == ("AES-256-SIV", "first")


def test_neither_the_object_nor_the_reference_shows_an_attribute(store: CountingStore) -> None:
    ref = blocks_of(store).put("study", STUDY)
    seen = store.read(ref.object) + msgspec.json.encode(ref)
    for secret in (b"Doe", b"Jane", b"4711", b"PatientName"):
        assert secret not in seen


def test_a_study_of_2000_instances_puts_its_block_once(store: CountingStore) -> None:
    site = blocks_of(store)
    with ThreadPoolExecutor(4) as pool:
        refs = set(pool.map(lambda _: site.put("study", dict(STUDY)), range(2000)))
    assert len(refs) == 1
    # Threads that meet a new block together may each try; the store decides.
    assert 1 <= len(store.creations) <= 4


def test_two_routers_write_the_same_bytes(store: CountingStore) -> None:
    other = CountingStore()
    first, second = blocks_of(store).put("study", STUDY), blocks_of(other).put("study", STUDY)
    assert first == second
    assert store.read(first.object) == other.read(second.object)


def test_what_was_put_long_ago_is_put_again_and_is_the_same(store: CountingStore) -> None:
    site = blocks_of(store)
    first = site.put("study", STUDY)
    for number in range(5000):
        site.put("study", {"PatientID": str(number)})
    again = site.put("study", STUDY)
    assert again == first
    assert store.creations.count(first.object.key) == 2


def test_levels_tenants_and_sites_name_a_block_differently(store: CountingStore) -> None:
    refs = [
        blocks_of(store).put("study", STUDY),
        blocks_of(store).put("series", STUDY),
        blocks_of(store, tenant="other").put("study", STUDY),
        blocks_of(store, FixedKeys(naming_byte=2)).put("study", STUDY),
    ]
    assert len({ref.block_id for ref in refs}) == 4
    assert len({ref.object.sha256 for ref in refs}) == 4


def test_an_absent_block_reads_as_erased() -> None:
    ref = blocks_of(MemoryStore()).put("study", STUDY)
    assert blocks_of(MemoryStore()).read(ref) == Erased(ref.block_id)


def test_a_note_comes_back_and_two_equal_ones_are_erased_one_by_one(store: CountingStore) -> None:
    site = blocks_of(store)
    one, other = (site.put_note(f"hold/{number}", "Court order, Doe\0 v. Roe") for number in (1, 2))
    assert site.put_note("hold/1", "Court order, Doe\0 v. Roe") == one
    assert one.block_id != other.block_id
    assert b"Court" not in store.read(one.object)
    assert site.read_note(one) == "Court order, Doe\0 v. Roe"
    gone = msgspec.structs.replace(one, object=msgspec.structs.replace(one.object, key="gone"))
    assert site.read_note(gone) == Erased(one.block_id)
    assert site.read_note(other) == "Court order, Doe\0 v. Roe"


def test_a_block_of_a_study_is_no_note(store: CountingStore) -> None:
    ref = blocks_of(store).put("study", STUDY)
    with pytest.raises(Unopened, match="no note"):
        blocks_of(store).read_note(ProtectedNote(block_id=ref.block_id, object=ref.object))


@pytest.mark.parametrize("position", [0, 3, 4, 6, 20, -1])
def test_a_flipped_bit_does_not_open(store: CountingStore, position: int) -> None:
    ref = blocks_of(store).put("study", STUDY)
    data = bytearray(store.read(ref.object))
    data[position] ^= 1
    forged = replaced(store, ref.object, f"{ref.object.key}-forged", bytes(data))
    with pytest.raises((Damaged, UnknownKey, Unopened)):
        blocks_of(store).read(msgspec.structs.replace(ref, object=forged))


@pytest.mark.parametrize("length", [0, 1, 4, 5, 8, 10, 12, 25])
def test_a_cut_block_does_not_open(store: CountingStore, length: int) -> None:
    ref = blocks_of(store).put("study", STUDY)
    cut = replaced(store, ref.object, f"{ref.object.key}-cut", store.read(ref.object)[:length])
    with pytest.raises((Damaged, Unopened)):
        blocks_of(store).read(msgspec.structs.replace(ref, object=cut))


def test_the_store_notices_a_flipped_bit_first(store: CountingStore) -> None:
    ref = blocks_of(store).put("study", STUDY)
    with pytest.raises(Damaged):
        blocks_of(store).read(
            ProtectedRef(
                level="study", block_id=ref.block_id, object=msgspec.structs.replace(ref.object, sha256="0" * 64)
            )
        )


def test_another_key_another_tenant_and_another_name_do_not_open(store: CountingStore) -> None:
    ref = blocks_of(store).put("study", STUDY)
    with pytest.raises(Unopened):
        blocks_of(store, FixedKeys(salt=1)).read(ref)
    with pytest.raises(Unopened):
        blocks_of(store, tenant="other").read(ref)
    with pytest.raises(Unopened):
        blocks_of(store).read(msgspec.structs.replace(ref, block_id="0" * 64))
    with pytest.raises(UnknownKey):
        blocks_of(store, FixedKeys(known=("second",), in_use="second")).read(ref)


def test_after_a_rotation_old_blocks_are_read_and_not_written_again(store: CountingStore) -> None:
    old = blocks_of(store).put("study", STUDY)
    rotated = blocks_of(store, FixedKeys(known=("first", "second"), in_use="second"))
    assert rotated.read(old) == STUDY
    assert rotated.put("study", STUDY) == old
    fresh = rotated.put("study", {"PatientID": "4712"})
    assert fresh.object.encryption is not None
    assert fresh.object.encryption.key_id == "second"


def test_something_else_under_the_blocks_key_is_damaged(store: CountingStore) -> None:
    ref = blocks_of(MemoryStore()).put("study", STUDY)
    store.create(NewObject("general", "hot", ref.object.key, b"not a block"))
    with pytest.raises(Damaged):
        blocks_of(store).put("study", STUDY)


@given(blocks)
def test_any_block_comes_back_normalised(attributes: Attributes) -> None:
    site = blocks_of(MemoryStore())
    read = site.read(site.put("study", attributes))
    assert isinstance(read, dict)
    assert canonical(read) == canonical(attributes)


@given(blocks)
def test_the_encoding_is_canonical(attributes: Attributes) -> None:
    def decomposed(value: str | list[str]) -> str | list[str]:
        if isinstance(value, str):
            return unicodedata.normalize("NFD", value)
        return [unicodedata.normalize("NFD", item) for item in value]

    other = {name: decomposed(value) for name, value in reversed(attributes.items())}
    assert canonical(other) == canonical(attributes)


@given(blocks, blocks)
def test_different_blocks_have_different_names(one: Attributes, two: Attributes) -> None:
    ids = {block_id(b"k" * 32, "general", "study", canonical(attributes)) for attributes in (one, two)}
    assert (len(ids) == 1) == (canonical(one) == canonical(two))


def test_a_blocks_name_and_bytes_never_change(store: CountingStore) -> None:
    """Pinned: a changed encoding or name would orphan every block that exists."""
    ref = blocks_of(store).put("study", {"PatientName": "Doe^Jane", "PatientID": "4711"})
    assert (
        canonical({"PatientName": "Doe^Jane", "PatientID": "4711"}) == b'{"PatientID":"4711","PatientName":"Doe^Jane"}'
    )
    assert ref.block_id == "0675491c39626c051f49910bf10d4637068660fe7c8686d6b74a3002cccb2dbc"
    assert ref.object.sha256 == "70c595e39414d5e9dabddcb2f765fca682b3e735d014a027fb459c78b16c8825"


class TestKeyFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "keys.toml"
        create_key_file(path)
        return path

    def test_a_new_file_is_private_has_its_own_keys_and_is_never_replaced(self, path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys = FileKeys(path)
        assert len(keys.encryption(keys.current())) == 64
        assert len(keys.naming()) == 32
        other = path.with_name("other.toml")
        create_key_file(other)
        assert FileKeys(other).naming() != keys.naming()
        with pytest.raises(FileExistsError):
            create_key_file(path)

    def test_blocks_are_read_with_the_keys_read_again(self, path: Path) -> None:
        store = MemoryStore()
        ref = ProtectedBlocks(store, FileKeys(path), "general").put("study", STUDY)
        assert ProtectedBlocks(store, FileKeys(path), "general").read(ref) == STUDY

    def test_an_unknown_key_is_named(self, path: Path) -> None:
        with pytest.raises(UnknownKey, match="last-year"):
            FileKeys(path).encryption("last-year")

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_a_file_that_others_can_read_is_refused(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            FileKeys(path)

    def test_an_absent_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="restore it"):
            FileKeys(tmp_path / "absent.toml")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("[keys]\n", "[keys\n"),
            ("current = ", "currant = "),
            ('current = "', 'current = "x'),
            ('naming = "', 'naming = "AAAA'),
            ('naming = "', 'naming = "!'),
            ("[keys]\n", '[keys]\n"" = "x"\n'),
            ("[keys]\n", '[keys]\n"caf\\u00e9" = "x"\n'),
        ],
    )
    def test_a_broken_file_is_refused_without_quoting_it(self, path: Path, old: str, new: str) -> None:
        whole = path.read_text()
        path.write_text(whole.replace(old, new, 1))
        with pytest.raises(ConfigError) as refused:
            FileKeys(path)
        assert str(refused.value).startswith(str(path))
        for line in whole.splitlines():
            if '"' in line:
                assert line.split('"')[1] not in str(refused.value)
