"""`radstream verify` finds what is wrong with an archive, says which part it is, and says nothing of a sound one."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from radstream.verify import print_report
from radstream.verifying import unlinked
from streams import part10
from streams.chains.keys import create
from streams.chains.links import NOTHING, last_hash
from streams.events import TierCopy, TierItem, TierMoved
from streams.generation import of_facts
from streams.identity import original_key
from streams.log import TopicPartition
from streams.step import NewObject
from streams.stored_file import PREAMBLE
from tests import held_images
from tests.chain_world import Archive, file_of, study_uid
from tests.deciding_world import PARTITIONS, START, TENANT
from tests.instance_events import meta_of

LATER = timedelta(hours=1)
CHAIN, HEAD = "imaging.study.chain", "imaging.chain.head"
# `make faults` takes 1000.
OBJECTS = int(os.environ.get("RADSTREAM_VERIFY_OBJECTS", "60"))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three studies of four images, linked and signed."""
    archive = Archive(tmp_path)
    for study in range(3):
        archive.receive(study, *range(4))
    archive.quiet()
    return archive


def test_a_sound_archive_is_sound(archive: Archive) -> None:
    report = archive.verify(later=LATER)
    assert report.findings == []
    assert (report.studies, report.links, report.copies) == (3, 12, 12)
    assert report.heads == len(archive.heads())
    assert report.bytes == sum(ref.size for ref in archive.refs.values())
    one = archive.verify(1, later=LATER)
    assert (one.findings, one.studies, one.links) == ([], 1, 4)


def test_one_flipped_bit_in_each_object_is_found(tmp_path: Path) -> None:
    archive, chosen = Archive(tmp_path), random.Random(6)
    for number in range(OBJECTS):
        archive.receive(number // 20, number % 20, encoding=chosen.choice(("explicit", "implicit", "big", "deflated")))
    archive.quiet()
    assert archive.verify(later=LATER).sound
    for ref in archive.refs.values():
        archive.flip(ref, chosen.randrange(8 * ref.size))
    wrong = archive.wrong(later=LATER)
    assert set(wrong) == {ref.key for ref in archive.refs.values()}
    assert {finding.kind for finding in wrong.values()} == {"changed"}


def test_it_says_which_part_has_changed(archive: Archive) -> None:
    file = part10.read(file_of(1, 0))
    pixels = file.elements[0x7FE00010]
    places = {
        "first bit": (0, "header"),
        "preamble": (8 * 60, "header"),
        "group 0002": (8 * (len(PREAMBLE) + 40) + 1, "header"),
        "study description": (8 * file.elements[0x00081030].value_at, "metadata"),
        "SOP Instance UID": (8 * file.elements[0x00080018].value_at + 1, "metadata"),
        "first pixel": (8 * pixels.value_at, "pixels"),
        "last bit": (8 * pixels.end - 1, "pixels"),
    }
    for what, (bit, part) in places.items():
        archive.flip(archive.refs[1, 0], bit)
        (finding,) = archive.wrong(1, later=LATER).values()
        assert (what, finding.kind, finding.part) == (what, "changed", part)
        archive.flip(archive.refs[1, 0], bit)
    assert archive.verify(1, later=LATER).sound


def test_a_cut_file_an_empty_one_and_rubbish(archive: Archive) -> None:
    whole = archive.bytes_of(archive.refs[1, 0])
    for data, part in ((whole[:-100], "cut"), (whole[:300], "cut"), (b"", "structure"), (bytes(1000), "structure")):
        archive.put_over(archive.refs[1, 0], data)
        (finding,) = archive.wrong(1, later=LATER).values()
        assert (finding.kind, finding.part) == ("changed", part)


def test_what_is_lost_and_where_a_good_copy_is(archive: Archive) -> None:
    gone, copied = archive.refs[1, 0], archive.refs[2, 1]
    archive.drop(gone)
    archive.store.create(NewObject(TENANT, "backup", copied.key, archive.bytes_of(copied)))
    archive.flip(copied, 3000)
    wrong = archive.wrong(later=LATER)
    assert {key: finding.kind for key, finding in wrong.items()} == {gone.key: "lost", copied.key: "changed"}
    assert (wrong[gone.key].good, wrong[copied.key].good) == ((), ("backup",))
    assert "No good copy" in wrong[gone.key].next
    assert "A good copy is in backup" in wrong[copied.key].next


def test_what_a_store_has_archived_that_the_site_does_not_call_an_archive_is_not_lost(archive: Archive) -> None:
    ref = archive.refs[1, 0]
    archive.store.asleep.add((ref.store, ref.key))
    (finding,) = archive.verify(1, later=LATER).findings
    assert (finding.kind, finding.key) == ("unreadable", ref.key)
    assert "radstream tier restore" in finding.text


def test_copies_in_an_archive_are_counted_and_no_fault(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in archive.refs.values():
        archive.store.create(NewObject(TENANT, "cold", ref.key, archive.bytes_of(ref)))
        archive.store.asleep.add(("cold", ref.key))
    archive.store.archived = ("cold",)

    report = archive.verify(later=LATER)
    assert (report.sound, report.copies, report.archived) == (True, 12, 12)
    print_report(report)
    said = capsys.readouterr().out
    assert "12 copies are there and in archives" in said
    assert said.endswith("sound\n")

    archive.drop(archive.refs[1, 0])
    report = archive.verify(later=LATER)
    (finding,) = report.findings
    assert (finding.kind, finding.good, report.archived) == ("lost", (), 12)
    assert "Its copy in cold was not read: radstream tier restore" in finding.next


def test_two_that_were_exchanged_within_a_study_and_across(archive: Archive) -> None:
    for one, other in (((1, 0), (1, 1)), ((0, 2), (2, 3))):
        first, second = archive.refs[one], archive.refs[other]
        data = archive.bytes_of(first), archive.bytes_of(second)
        archive.put_over(first, data[1])
        archive.put_over(second, data[0])
    wrong = archive.wrong(later=LATER)
    assert {finding.kind for finding in wrong.values()} == {"swapped"}
    assert set(wrong) == {archive.refs[one].key for one in ((1, 0), (1, 1), (0, 2), (2, 3))}
    assert f"{study_uid(2)}.1.3" in wrong[archive.refs[0, 2].key].text


def test_a_copy_that_tiering_made_and_that_is_gone(archive: Archive) -> None:
    """Where copies are to be, its last decision says; it may have taken them out of the hot store."""
    ref, uids = archive.refs[1, 0], (study_uid(1), f"{study_uid(1)}.0", f"{study_uid(1)}.0.0")
    assert ref.key == original_key(TENANT, *uids, ref.sha256)
    kept = archive.store.create(NewObject(TENANT, "warm", ref.key, archive.bytes_of(ref))).ref
    archive.drop(ref)
    copies = tuple(TierCopy(store=name, verified=True, version_id=kept.version_id) for name in ("backup", "warm"))
    item = TierItem(series_uid=uids[1], sop_instance_uid=uids[2], digest=ref.sha256, size=ref.size, copies=copies)
    archive.say(
        TierMoved(
            meta=meta_of(f"{study_uid(1)}/1", "tiering", tenant=TENANT),
            provenance=of_facts("tiering").provenance_of(()),
            study_uid=study_uid(1),
            seq=1,
            move=1,
            phase="released",
            why="age",
            source="hot",
            target="warm",
            serving="warm",
            items=(item,),
            covers={},
            decided_for=START,
        )
    )
    (finding,) = archive.verify(1, later=LATER).findings
    assert (finding.kind, finding.store, finding.good) == ("lost", "backup", ("warm",))


def test_an_image_that_was_validated_and_never_linked(archive: Archive) -> None:
    archive.receive(1, 4)
    young = archive.verify(1)
    assert (young.findings, young.waiting) == ([], 1)
    (finding,) = archive.wrong(1, later=LATER).values()
    assert (finding.kind, finding.key) == ("unchained", archive.refs[1, 4].key)


def test_one_flipped_bit_is_found_before_any_image_is_linked(tmp_path: Path) -> None:
    archive, chosen = Archive(tmp_path), random.Random(7)
    for number in range(20):
        archive.receive(number // 5, number % 5)
    sound = archive.verify()
    assert (sound.findings, sound.links, sound.unlinked, sound.waiting) == ([], 0, 20, 20)
    assert sound.bytes == sum(ref.size for ref in archive.refs.values())
    for ref in archive.refs.values():
        archive.flip(ref, chosen.randrange(8 * ref.size))
    for number, wrong in enumerate((archive.wrong(), archive.wrong(3))):
        keys = {ref.key for (study, _), ref in archive.refs.items() if number == 0 or study == 3}
        assert {key: finding.kind for key, finding in wrong.items()} == dict.fromkeys(keys, "changed")


def test_an_image_that_was_lost_before_it_was_linked(archive: Archive) -> None:
    archive.receive(1, 4)
    archive.drop(archive.refs[1, 4])
    (finding,) = archive.wrong().values()
    assert (finding.kind, finding.key) == ("lost", archive.refs[1, 4].key)


def test_of_many_that_are_not_linked_only_so_many_are_remembered_at_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlinked, "WINDOW", 2)
    archive.receive(1, *range(4, 9))
    archive.receive(2, *range(4, 6))
    archive.receive(0, 0, 1)  # Linked under an earlier verdict.
    report = archive.verify()
    assert (report.findings, report.links, report.unlinked, report.waiting) == ([], 12, 7, 7)
    archive.flip(archive.refs[1, 8], 3000)
    assert [finding.key for finding in archive.verify().findings] == [archive.refs[1, 8].key]


def test_the_bytes_of_what_validate_holds_are_checked_until_it_is_linked(archive: Archive) -> None:
    valid = archive.validated(1, 5, file_of(1, 5))
    archive.say(held_images.held(valid, "truncated", "validate"))
    assert archive.verify().held == archive.verify(1).held == 1
    assert archive.verify(2).held == 0
    archive.flip(archive.refs[1, 5], 5)
    (finding,) = archive.wrong(later=LATER).values()
    assert (finding.kind, finding.key) == ("changed", archive.refs[1, 5].key)
    archive.flip(archive.refs[1, 5], 5)
    archive.say(valid)
    archive.quiet()
    report = archive.verify(later=LATER)
    assert (report.findings, report.held, report.unlinked, report.links) == ([], 0, 0, 13)


def test_a_second_verdict_needs_no_second_link(archive: Archive) -> None:
    archive.receive(1, 0, 1)
    archive.quiet()
    assert archive.verify(later=LATER).findings == []


def record(archive: Archive, study: int) -> tuple[int, int]:
    """Partition and offset of a study's first record."""
    for number in range(PARTITIONS):
        name = TopicPartition(CHAIN, number)
        first, end = archive.log.bounds([name])[name]
        for one in archive.log.read(name, first, end):
            if one.header("ce_subject") == f"{study_uid(study)}/1":
                return number, one.offset
    raise AssertionError


def test_a_digest_that_was_exchanged_in_the_log(archive: Archive) -> None:
    """Bytes and link agree then, and the hash of the link does not."""
    (event,) = archive.chain(1)
    archive.flip(archive.refs[1, 0], 3000)
    links = (structs.replace(event.links[0], digest=bytes(32)), *event.links[1:])
    archive.rewrite(CHAIN, *record(archive, 1), structs.replace(event, links=links))
    for report in (archive.verify(1, later=LATER), archive.verify(later=LATER)):
        assert "broken_link" in {finding.kind for finding in report.findings}


def test_a_chain_that_was_written_anew_is_not_the_one_that_was_signed(archive: Archive) -> None:
    archive.receive(2, 4)
    archive.quiet()
    event = archive.chain(1)[0]
    forged = structs.replace(event, links=event.links[:3])
    forged = structs.replace(forged, hash=last_hash(NOTHING, TENANT, event.study_uid, 1, event.series, forged.links))
    archive.rewrite(CHAIN, *record(archive, 1), forged)
    for report in (archive.verify(1, later=LATER), archive.verify(later=LATER)):
        assert [finding.kind for finding in report.findings] == ["broken_link"]
        assert "does not hold what was signed" in report.findings[0].text


@pytest.mark.parametrize("behind", [timedelta(seconds=5), timedelta(hours=2)])
def test_a_signer_whose_clock_is_behind_hides_nothing(archive: Archive, behind: timedelta) -> None:
    heads = archive.log._topics[HEAD].partitions[0].records
    archive.receive(2, 4)
    archive.quiet()
    heads[0] = replace(heads[0], timestamp_ms=heads[0].timestamp_ms - int(behind.total_seconds() * 1000))
    event = archive.chain(1)[0]
    forged = structs.replace(event, links=event.links[:3])
    forged = structs.replace(forged, hash=last_hash(NOTHING, TENANT, event.study_uid, 1, event.series, forged.links))
    archive.rewrite(CHAIN, *record(archive, 1), forged)
    found = archive.verify(1, later=LATER).findings
    assert {finding.kind for finding in found} & {"broken_link", "head_missing"}


def test_a_head_that_was_changed_and_one_of_a_stranger(archive: Archive, tmp_path: Path) -> None:
    (head, *_) = archive.heads()
    archive.rewrite(HEAD, 0, 0, structs.replace(head, spans=head.spans[:-1]))
    assert "bad_signature" in {finding.kind for finding in archive.verify(later=LATER).findings}
    archive.rewrite(HEAD, 0, 0, head)
    assert archive.verify(later=LATER).sound
    (tmp_path / "stranger").mkdir()
    create(tmp_path / "stranger" / "chain-keys", tmp_path / "stranger" / "chain-keys.public")
    archive.keys = tmp_path / "stranger"
    found = archive.verify(later=LATER).findings
    assert {finding.kind for finding in found} == {"bad_signature"}
    assert "--show-keys" in found[0].next


def test_a_head_that_is_missing(archive: Archive) -> None:
    archive.receive(2, 4)
    archive.quiet()
    records = archive.log._topics[HEAD].partitions[0].records
    kept = list(records)
    del records[-1]
    assert {finding.kind for finding in archive.verify(later=LATER).findings} == {"head_missing"}
    assert archive.verify().sound, "what is young may still wait for its head"
    records[:] = kept[1:]
    archive.log._topics[HEAD].partitions[0].first = 1
    assert {finding.kind for finding in archive.verify(later=LATER).findings} == {"head_missing"}


def test_only_what_was_linked_since(archive: Archive) -> None:
    since = archive.clock.now() + timedelta(seconds=1)
    archive.clock.seconds += 60
    archive.receive(2, 4)
    archive.quiet()
    report = archive.verify(later=LATER, since=since)
    assert (report.studies, report.links, report.findings) == (1, 5, [])


def test_one_store_alone(archive: Archive) -> None:
    ref = archive.refs[1, 0]
    archive.store.create(NewObject(TENANT, "backup", ref.key, archive.bytes_of(ref)))
    archive.flip(ref, 3000)
    report = archive.verify(1, later=LATER, stores=("backup",))
    assert (report.findings, report.copies) == ([], 1)
