"""One destination: what the rules ask for gets there as the node takes it, and every answer has its consequence."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from msgspec import structs

from consumers.forward.peer import Peer
from consumers.forward.step import TRIES_IN_PLACE, Forward
from streams.clock import SystemClock
from streams.dimse.stored import Limits
from streams.events import ForwardResult, InstanceValidated
from streams.generation import of_facts
from streams.held import HeldImages
from streams.identity import event_id
from streams.memory_store import MemoryStore
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, file_meta
from streams.routes.routes import load
from streams.routes.rules import Destination
from streams.step import DeadLetter, Done, Input, Outcome, RetryLater
from tests import held_images, images
from tests.nodes import no_tls, node, silent
from tests.ports import free_port
from tests.received import events_of, ref_to, validated
from tests.routers import AdjustableClock
from tests.waiting import wait_until

PIXELS = np.arange(2 * 16 * 12, dtype=np.uint16).reshape(2, 16, 12)
JPEG_2000, LOSSY = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
ALL = '[[rules]]\nname = "all"\nforward = ["node"]\n'
HEAD = '[destinations.node]\nae_title = "NODE"\nhost = "127.0.0.1"\nport = 1\n'


class Bench:
    """A step, the store behind it, and instances in it."""

    def __init__(self, folder: Path, destination: Destination, rules: str = ALL, limits: Limits | None = None) -> None:
        path = folder / "routes.toml"
        path.write_text(HEAD + rules)
        self.store = MemoryStore()
        self.peer = Peer(destination, no_tls())
        rules_ = load(path).about("node")
        self.log, self.clock = held_images.log_of_holds(), AdjustableClock()
        held = HeldImages(self.log, self.clock)
        self.step = Forward("node", rules_, self.peer, of_facts("forward.node"), self.store, limits or Limits(), held)

    def item(self, data: bytes, **changed: object) -> Input[InstanceValidated]:
        found = validated(self.store, data)
        uid = found.event.instance.sop_instance_uid
        instance = structs.replace(found.event.instance, sop_class_uid=images.CT, sop_instance_uid=uid)
        return Input(structs.replace(found.event, instance=instance, **changed), found.record)

    def run(self, *items: Input[InstanceValidated]) -> Sequence[Outcome]:
        return self.step(items, SystemClock())

    def result(self, outcome: Outcome) -> ForwardResult:
        done = outcome.beside if isinstance(outcome, DeadLetter) else outcome
        assert isinstance(done, Done), outcome
        (event,) = events_of(done, self.store)
        assert isinstance(event, ForwardResult)
        return event


def image(number: int = 0, **attributes: object) -> bytes:
    return images.native(PIXELS, SOPInstanceUID=f"1.2.3.{number + 1}", **attributes)


def data_set_of(data: bytes) -> bytes:
    return data[file_meta(data)[1] :]


def jpeg_2000(syntax: str = JPEG_2000) -> bytes:
    frames = [bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True)) for frame in PIXELS]
    return images.compressed(PIXELS, frames, syntax)


def test_instances_arrive_in_order_byte_for_byte_over_one_association(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination())
        sent = [image(number) for number in range(20)]
        items = [bench.item(data) for data in sent]
        outcomes = [*bench.run(*items[:8]), *bench.run(*items[8:])]
        bench.peer.close()
        wait_until(lambda: there.released == 1, "the release")

    assert there.data_sets == [data_set_of(data) for data in sent]
    assert there.associations == 1
    results = [bench.result(outcome) for outcome in outcomes]
    assert {(one.outcome, one.status, one.rules) for one in results} == {("done", 0, ("all",))}
    digest = hashlib.sha256(sent[0]).hexdigest()
    assert results[0].meta.event_id == event_id("t", "forward.node", digest, 0, 0)
    assert (results[0].sent_transfer_syntax_uid, results[0].sent_bytes) == (
        EXPLICIT_VR_LITTLE_ENDIAN,
        len(there.data_sets[0]),
    )


@pytest.mark.parametrize(
    ("data", "takes", "gets"),
    [
        (image(), [IMPLICIT_VR_LITTLE_ENDIAN], IMPLICIT_VR_LITTLE_ENDIAN),
        (jpeg_2000(), [JPEG_2000, EXPLICIT_VR_LITTLE_ENDIAN], JPEG_2000),
        (jpeg_2000(), [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN], EXPLICIT_VR_LITTLE_ENDIAN),
        (jpeg_2000(), [IMPLICIT_VR_LITTLE_ENDIAN], IMPLICIT_VR_LITTLE_ENDIAN),
        (jpeg_2000(LOSSY), [LOSSY], LOSSY),
    ],
)
def test_a_node_gets_what_it_takes_best(tmp_path: Path, data: bytes, takes: Sequence[str], gets: str) -> None:
    with node(takes) as there:
        bench = Bench(tmp_path, there.destination())
        (outcome,) = bench.run(bench.item(data))
        bench.peer.close()
    assert there.syntaxes == [gets]
    assert bench.result(outcome).sent_transfer_syntax_uid == gets
    if gets in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        read = pydicom.dcmread(io.BytesIO(images.raw_file(there.data_sets[0], gets)))
        assert np.array_equal(read.pixel_array, PIXELS)


@pytest.mark.parametrize(
    ("data", "sop_classes", "code"),
    [
        (jpeg_2000(LOSSY), [images.CT], "not_accepted"),
        (image(), ["1.2.840.10008.5.1.4.1.1.4"], "not_accepted"),
        (images.compressed(PIXELS, [b"\0\0", b"\0\0"], JPEG_2000), [images.CT], "not_recodable"),
    ],
)
def test_what_no_context_fits_is_a_dead_letter_with_a_reason(
    tmp_path: Path, data: bytes, sop_classes: Sequence[str], code: str
) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN], sop_classes=sop_classes) as there:
        bench = Bench(tmp_path, there.destination())
        (outcome,) = bench.run(bench.item(data))
        bench.peer.close()
    assert there.instances == []
    result = bench.result(outcome)
    assert isinstance(outcome, DeadLetter)
    assert outcome.reason == f"node: {result.detail}"
    assert (result.outcome, result.code, result.status) == ("failed", code, None)
    assert result.meta.event_id != event_id("t", "forward.node", result.instance.digest, 0, 0)


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0107, 0x0111])
def test_a_warning_is_done_and_noted(tmp_path: Path, status: int) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda _: status) as there:
        bench = Bench(tmp_path, there.destination())
        (outcome,) = bench.run(bench.item(image()))
        bench.peer.close()
    assert (bench.result(outcome).outcome, bench.result(outcome).status) == ("warned", status)


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0122, 0x0124])
def test_a_refusal_is_a_dead_letter(tmp_path: Path, status: int) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda _: status) as there:
        bench = Bench(tmp_path, there.destination())
        (outcome,) = bench.run(bench.item(image()))
        bench.peer.close()
    assert isinstance(outcome, DeadLetter)
    assert (bench.result(outcome).code, bench.result(outcome).status) == ("refused", status)
    assert f"0x{status:04X}" in outcome.reason


def test_a_full_node_holds_everybody_and_one_poisonous_instance_does_not_for_ever(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda _: 0xA700) as there:
        bench = Bench(tmp_path, there.destination())
        first, second = bench.item(image(0)), bench.item(image(1))
        tried = [bench.run(first, second) for _ in range(TRIES_IN_PLACE)]
        bench.peer.close()

    assert [outcomes[0].scope for outcomes in tried] == ["world"] * (TRIES_IN_PLACE - 1) + ["subject"]
    # As long as everybody waits, nothing is sent out of its turn.
    assert there.instances == ["1.2.3.1"] * TRIES_IN_PLACE + ["1.2.3.2"]
    (last, _) = tried[-1]
    assert isinstance(last, RetryLater)
    assert last.attempts_max is not None
    assert bench.result(last.given_up).code == "full"


def test_a_busy_node_makes_one_wait(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda number: 0x0110 if number == 0 else 0) as there:
        bench = Bench(tmp_path, there.destination())
        waits, done = bench.run(bench.item(image(0)), bench.item(image(1)))
        bench.peer.close()
    assert isinstance(waits, RetryLater)
    assert waits.scope == "subject"
    assert bench.result(done).outcome == "done"


@pytest.mark.parametrize(
    ("kind", "says"),
    [("down", "nothing listens there"), ("silent", "did not answer"), ("unknown", "host name is not known")],
)
def test_a_node_that_is_not_there_holds_its_own(tmp_path: Path, kind: str, says: str) -> None:
    with silent() as there:
        destination = there.destination(answer_s=1.0)
        if kind == "down":
            destination = structs.replace(destination, port=free_port())
        if kind == "unknown":
            destination = structs.replace(destination, host="node.invalid")
        bench = Bench(tmp_path, destination)
        outcomes = bench.run(bench.item(image(0)), bench.item(image(1)))
        wait_until(lambda: kind != "silent" or there.associations, "the silent one having it")
    assert [outcome.scope for outcome in outcomes] == ["world", "world"]
    assert says in str(outcomes[0])
    assert there.associations == (1 if kind == "silent" else 0)


def test_an_association_that_the_node_closed_meanwhile_is_opened_anew(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as before:
        bench = Bench(tmp_path, before.destination())
        bench.result(bench.run(bench.item(image(0)))[0])
        port = before.port
    with node([EXPLICIT_VR_LITTLE_ENDIAN], port=port) as there:
        (outcome,) = bench.run(bench.item(image(1)))
        bench.peer.close()
    assert bench.result(outcome).outcome == "done"
    assert there.instances == ["1.2.3.2"]


def test_an_idle_association_is_released_and_another_kind_gets_one_of_its_own(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000]) as there:
        bench = Bench(tmp_path, there.destination(idle_s=0.01))
        bench.run(bench.item(image(0)))
        assert there.proposed == [(images.CT, EXPLICIT_VR_LITTLE_ENDIAN), (images.CT, IMPLICIT_VR_LITTLE_ENDIAN)]
        bench.run(bench.item(jpeg_2000()))
        assert there.associations == 2
        assert there.proposed[0] == (images.CT, JPEG_2000)
        assert set(there.proposed[1:]) == {
            (images.CT, EXPLICIT_VR_LITTLE_ENDIAN),
            (images.CT, IMPLICIT_VR_LITTLE_ENDIAN),
        }
        # The second was opened for both kinds.
        bench.run(bench.item(image(2)))
        assert there.associations == 2

        def released() -> bool:
            bench.peer.release_idle()
            return there.released == 2

        wait_until(released, "the release of what is idle")


def test_rules_decide_by_tags_and_what_is_not_wanted_is_not_sent(tmp_path: Path) -> None:
    rules = '[[rules]]\nname = "one"\nforward = ["node"]\nmatch.tags.PatientID = "A*"\n'
    rules += '[[rules]]\nname = "no"\ndo_not_forward = ["node"]\nmatch.modality = "US"\n'
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination(), rules)
        ultrasound = bench.item(image(2, PatientID="A3"))
        ultrasound = Input(
            structs.replace(ultrasound.event, technical=structs.replace(ultrasound.event.technical, modality="US")),
            ultrasound.record,
        )
        items = [bench.item(image(0, PatientID="A1")), bench.item(image(1, PatientID="B1")), ultrasound]
        sent, *others = bench.run(*items)
        bench.peer.close()
    assert there.instances == ["1.2.3.1"]
    assert bench.result(sent).rules == ("one",)
    assert [events_of(one, bench.store) for one in others if isinstance(one, Done)] == [[], []]


def test_absent_bytes_wait_alone_and_damaged_ones_are_a_dead_letter(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination())
        item = bench.item(image(0))
        other = structs.replace(item.event.object, sha256=hashlib.sha256(b"").hexdigest())
        absent, damaged, fine = bench.run(
            bench.item(image(1), object=ref_to(b"gone", "nowhere")), bench.item(image(0), object=other), item
        )
        bench.peer.close()
    assert isinstance(absent, RetryLater)
    assert absent.scope == "subject"
    assert bench.result(absent.given_up).code == "absent"
    assert bench.result(damaged).code == "unreadable"
    assert bench.result(fine).outcome == "done"


def test_an_instance_without_a_usable_sop_class_spoils_nobody_elses_association(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination())
        spoilt = bench.item(image(0))
        instance = structs.replace(spoilt.event.instance, sop_class_uid="not a UID")
        spoilt = Input(structs.replace(spoilt.event, instance=instance), spoilt.record)
        dead, fine = bench.run(spoilt, bench.item(image(1)))
        bench.peer.close()
    assert bench.result(dead).code == "unreadable"
    assert bench.result(fine).outcome == "done"


def test_no_reason_and_no_log_line_holds_what_a_rule_looked_at(tmp_path: Path, written: io.StringIO) -> None:
    rules = '[[rules]]\nname = "one"\nforward = ["node"]\nmatch.tags.PatientName = "DOE^*"\n'
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda _: 0xC000) as there:
        bench = Bench(tmp_path, there.destination(), rules)
        (outcome,) = bench.run(bench.item(image(PatientName="DOE^JANE")))
        bench.peer.close()
    assert isinstance(outcome, DeadLetter)
    said = f"{outcome} {bench.result(outcome)} {written.getvalue()}"
    assert "DOE" not in said


def test_what_was_held_since_it_was_found_valid_is_not_sent_until_it_is_released(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination())
        strange, own = bench.item(image(0)), bench.item(image(1))
        held_images.write(bench.log, held_images.held(strange.event))
        waits, goes = (bench.result(outcome) for outcome in bench.run(strange, own))
        assert (waits.outcome, waits.code, goes.outcome) == ("failed", "held", "done")

        held_images.write(bench.log, held_images.decision(strange.event, "released"))
        bench.clock.ahead_s += 2
        back = Input(held_images.let_go(strange.event), strange.record)
        assert [bench.result(outcome).outcome for outcome in bench.run(back)] == ["done"]

        held_images.write(bench.log, held_images.decision(strange.event, "rejected"))
        bench.clock.ahead_s += 2
        assert [bench.result(outcome).code for outcome in bench.run(back)] == ["held"]
        bench.peer.close()
        wait_until(lambda: there.released == 1, "the release")
    assert len(there.data_sets) == 2


def test_what_is_released_within_the_second_that_the_log_was_read_in_is_sent(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination())
        strange = bench.item(image())
        held_images.write(bench.log, held_images.held(strange.event))
        assert [bench.result(outcome).code for outcome in bench.run(strange)] == ["held"]

        held_images.write(bench.log, held_images.decision(strange.event, "released"))
        back = Input(held_images.let_go(strange.event), strange.record)
        assert [bench.result(outcome).outcome for outcome in bench.run(back)] == ["done"]
        bench.peer.close()
    assert len(there.data_sets) == 1


def test_where_the_log_does_not_say_what_is_held_everybody_waits(tmp_path: Path) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        bench = Bench(tmp_path, there.destination())
        bench.log.away = True
        (outcome,) = bench.run(bench.item(image()))
        assert isinstance(outcome, RetryLater)
        assert outcome.scope == "world"
        bench.peer.close()
    assert there.data_sets == []
