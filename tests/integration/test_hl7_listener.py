"""Orders over MLLP: an acknowledgement only for what is in the log, and nothing that is sent ends the listener."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from producers.orders.config import Settings
from producers.orders.framing import END, START, framed
from producers.orders.listening import Listener
from producers.orders.placed import PlacedOrders
from streams.config import ConfigError
from streams.log import Delivery, Producer, TopicClosed
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import StoreRefused
from streams.step import NewObject, Stored
from streams.wire import Message, SchemaIds, encode
from tests.event_streams import TENANT, Hospital
from tests.hl7_messages import OMI, ORM, STUDY, changed
from tests.listeners import Running, running_listener
from tests.waiting import wait_until

MEBI = 1 << 20


def msa(segments: list[str]) -> list[str]:
    """Code and control ID of an acknowledgement."""
    return next(segment for segment in segments if segment.startswith("MSA")).split("|")[1:3]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_is_accepted_is_in_the_log_without_a_name() -> None:
    hospital = Hospital()
    with running_listener(hospital) as listener:
        assert msa(listener.send(OMI)) == ["AA", "M4711"]
        (command,) = listener.commands()
    assert (command.action, command.priority, command.meta.lane, command.study_uid) == ("placed", "stat", "stat", STUDY)
    assert [(step.modality, step.station_aes) for step in command.steps] == [("CT", ("CT1", "CT2")), ("SR", ("CT1",))]
    assert command.actor == "hl7 127.0.0.1"
    assert command.block is not None
    assert hospital.blocks.read(command.block)["PatientName"] == "Doe^Jane^Q^Dr^Jr"  # type: ignore[index]
    text = str(command)
    assert not [word for word in ("Doe", "Jane", "P1", "A-100", "RP100", "SPS1", "Brown", "nodule") if word in text]


def test_many_messages_on_one_connection_are_answered_in_their_order() -> None:
    with running_listener() as listener, listener.connection() as ris:
        assert msa(ris.send(OMI)) == ["AA", "M4711"]
        assert msa(ris.send(changed(OMI, "XO", "M1"))) == ["AA", "M1"]
        # Two at once, and in pieces.
        both = framed(changed(OMI, "CA", "M2").encode()) + framed(ORM.encode())
        for at in range(0, len(both), 100):
            ris.socket.sendall(both[at : at + 100])
        assert [msa(ris.answer()), msa(ris.answer())] == [["AA", "M2"], ["AA", "M4712"]]
        said = listener.commands()
        actions = [[one.action for one in said if one.order_id == order] for order in {one.order_id for one in said}]
        assert sorted(actions) == [["placed"], ["placed", "changed", "cancelled"]]


def without(message: str, *names: str) -> str:
    """A message without its segments of these names."""
    return "\r".join(line for line in message.split("\r") if line[:3] not in names)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(without(OMI, "OBR", "IPC", "TQ1"), id="ORC alone: its numbers are not the accession number"),
        pytest.param(
            without(OMI, "IPC").replace("FI1^FILLER||||||2", "A-100^FILLER||||||2"), id="as the filler number"
        ),
        pytest.param(OMI.replace("|RP100|", "||"), id="no procedure: the accession number is not its ID"),
    ],
)
def test_a_cancellation_that_names_another_order_by_what_it_leaves_out_is_not_accepted(told: str) -> None:
    with running_listener() as listener, listener.connection() as ris:
        assert msa(ris.send(OMI)) == ["AA", "M4711"]
        answer = ris.send(changed(told, "CA", "M1"))
        assert msa(answer) == ["AE", "M1"]
        assert "204^" in next(segment for segment in answer if segment.startswith("ERR"))
        assert "accession number" in str(answer)
        assert "A-10" not in str(answer)
        # The log has nothing of it: also after the first stray one, the second is one.
        assert msa(ris.send(changed(told, "DC", "M2"))) == ["AE", "M2"]
        assert [command.action for command in listener.commands()] == ["placed"]
        assert msa(ris.send(changed(OMI, "CA", "M3"))) == ["AA", "M3"]
        assert msa(ris.send(changed(OMI, "CA", "M4"))) == ["AA", "M4"]


@pytest.mark.parametrize("other", [("A-100", "A-101"), ("RP100", "RP101"), ("A-100^NORTH", "A-100^SOUTH")])
def test_a_cancellation_that_names_its_order_and_comes_from_before_is_accepted(
    other: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """On the first days a RIS cancels what it placed elsewhere, and many a sender stops at an AE."""
    with running_listener() as listener, listener.connection() as ris:
        assert msa(ris.send(OMI)) == ["AA", "M4711"]
        assert msa(ris.send(changed(OMI.replace(*other), "CA", "M1"))) == ["AA", "M1"]
        assert sorted(command.action for command in listener.commands()) == ["cancelled", "placed"]
        assert len({command.order_id for command in listener.commands()}) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "nothing_to_cancel" in line]
        (cancelled,) = [command.order_id for command in listener.commands() if command.action == "cancelled"]
        assert cancelled in line
        assert other[1] not in line
        # What is here is not taken for it.
        assert msa(ris.send(changed(OMI, "CA", "M2"))) == ["AA", "M2"]
        assert "nothing_to_cancel" not in capsys.readouterr().err


def test_an_order_without_an_accession_number_is_cancelled_by_what_orc_says() -> None:
    bare = ORM.replace("A-200|RP200", "|")
    with running_listener() as listener, listener.connection() as ris:
        assert msa(ris.send(bare)) == ["AA", "M4712"]
        assert msa(ris.send(changed(without(bare, "OBR", "ZDS"), "CA", "M1"))) == ["AA", "M1"]
        placed, cancelled = listener.commands()
    assert placed.order_id == cancelled.order_id


def status(message: str, control: str, said: str, number: str, *kept: str) -> str:
    """The message with this order control and order status, of its segments but head, patient and ORC those kept."""
    lines = changed(message, control, number).split("\r")
    orc = next(line for line in lines if line.startswith("ORC")).split("|")
    orc[5:6] = [said]
    whole = ["|".join(orc) if line.startswith("ORC") else line for line in lines]
    return "\r".join(line for line in whole if not kept or line[:3] in ("MSH", "PID", "ORC", *kept))


def test_what_a_ris_tells_of_progress_is_accepted_and_what_it_completes_is_in_the_log() -> None:
    """A sender that stops at an AE keeps its new orders back (docs/decisions/0080)."""
    hospital = Hospital()
    with running_listener(hospital) as listener, listener.connection() as ris:
        assert msa(ris.send(ORM)) == ["AA", "M4712"]
        for number, (control, said) in enumerate((("SC", "IP"), ("SC", "SC"), ("SC", ""), ("SN", ""), ("NA", "IP"))):
            assert msa(ris.send(status(ORM, control, said, f"M{number}"))) == ["AA", f"M{number}"]
            assert msa(ris.send(status(ORM, control, said, f"N{number}", "none"))) == ["AA", f"N{number}"]
        assert [command.action for command in listener.commands()] == ["placed"]

        assert msa(ris.send(status(ORM, "SC", "CM", "M10", "OBR"))) == ["AA", "M10"]
        assert msa(ris.send(status(ORM, "XO", "CM", "M11"))) == ["AA", "M11"]
        assert msa(ris.send(status(ORM, "SC", "CA", "M12", "OBR"))) == ["AA", "M12"]
        commands = listener.commands()
    assert [command.action for command in commands] == ["placed", "completed", "changed", "completed", "cancelled"]
    assert len({command.order_id for command in commands}) == 1
    completed = commands[1]
    (step,) = completed.steps
    assert (completed.study_uid, completed.block, step.start_date, step.modality) == (None, None, None, None)
    assert hospital.blocks.read(step.block) == {"ScheduledProcedureStepID": "SPS200", "About": completed.order_id}


def test_what_is_completed_and_no_order_here_is_accepted_and_no_word_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of before there was a radstream, or of another department."""
    with running_listener() as listener, listener.connection() as ris:
        assert msa(ris.send(OMI)) == ["AA", "M4711"]
        assert msa(ris.send(status(ORM, "SC", "CM", "M1", "OBR"))) == ["AA", "M1"]
        assert msa(ris.send(status(OMI, "SC", "CM", "M2", "none"))) == ["AA", "M2"]
        assert [command.action for command in listener.commands()] == ["placed"]
        assert capsys.readouterr().err.count("nothing_to_complete") == 2
        # An order that comes completed is here, and done.
        assert msa(ris.send(status(ORM, "NW", "CM", "M3"))) == ["AA", "M3"]
        assert sorted(command.action for command in listener.commands()) == ["completed", "placed", "placed"]
        listener.log.away = True
        assert msa(ris.send(status(OMI, "SC", "CM", "M4", "OBR", "IPC"))) == ["AR", "M4"]


class Slow:
    """A producer of a log that takes nothing for a while: what is queued comes with the next record, in its order."""

    def __init__(self, inner: Producer) -> None:
        self.inner = inner
        self.queued: list[tuple[Message, Future[Delivery]]] = []

    def send(self, message: Message) -> Future[Delivery]:
        self.queued.append((message, Future()))
        if len(self.queued) > 1:
            for one, future in self.queued:
                future.set_result(self.inner.send(one).result())
        return self.queued[-1][1]

    def close(self, timeout_s: float) -> int:
        return self.inner.close(timeout_s)


def test_an_order_that_is_on_its_way_can_be_cancelled() -> None:
    """Its RIS was told to send it again; what was queued came all the same, and stayed on the worklist."""
    bare = ORM.replace("A-200|RP200", "|")
    with running_listener(commit_timeout_s=1.0) as listener, listener.connection() as ris:
        listener.receiver.producer = Slow(listener.log.producer())
        assert msa(ris.send(bare)) == ["AR", "M4712"]
        assert listener.commands() == []
        assert msa(ris.send(changed(bare, "CA", "M1"))) == ["AA", "M1"]
        assert [command.action for command in listener.commands()] == ["placed", "cancelled"]


def test_a_cancellation_waits_for_a_log_that_is_away_and_not_for_one_that_it_may_not_read() -> None:
    class Closed(MemoryLog):
        def partitions(self, topic: str) -> int:
            raise TopicClosed(f"read of {topic}: not authorised")

    with running_listener() as listener, listener.connection() as ris:
        ris.send(OMI)
        listener.log.away = True
        assert msa(ris.send(changed(OMI, "CA", "M1"))) == ["AR", "M1"]
        listener.log.away = False
        listener.receiver.placed = PlacedOrders(Closed(), TENANT)
        assert msa(ris.send(changed(OMI, "CA", "M2"))) == ["AA", "M2"]
        assert [command.action for command in listener.commands()] == ["placed", "cancelled"]


def test_commands_of_a_newer_build_stop_no_cancellation(capsys: pytest.CaptureFixture[str]) -> None:
    """The service of before is put back: what the newer one wrote meanwhile is in the log."""
    bare = ORM.replace("A-200|RP200", "|")
    with running_listener() as before:
        before.send(bare)
        (placed,) = before.commands()
    newer = encode(placed, SchemaIds(), source="test")
    headers = tuple((name, b"99" if name == "schema_version" else value) for name, value in newer.headers)
    with running_listener() as listener, listener.connection() as ris:
        assert msa(ris.send(changed(bare, "CA", "M0"))) == ["AE", "M0"]
        listener.log.producer().send(replace(newer, headers=headers)).result()
        assert msa(ris.send(changed(bare, "CA", "M1"))) == ["AA", "M1"]
        assert msa(ris.send(OMI)) == ["AA", "M4711"]
        assert msa(ris.send(changed(OMI, "CA", "M2"))) == ["AA", "M2"]
    assert "imaging.order.command version 99" in capsys.readouterr().err


def test_a_connection_that_no_thread_is_left_for_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with running_listener(connections_max=1) as listener:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", none_left)
            with socket.create_connection(("127.0.0.1", listener.port), 20) as refused:
                assert refused.recv(1) == b""
        assert msa(listener.send(OMI)) == ["AA", "M4711"]


def test_the_same_message_again_is_the_same_event() -> None:
    with running_listener() as listener:
        listener.send(OMI)
        listener.send(OMI)
        assert len({command.meta.event_id for command in listener.commands()}) == 1
        assert len(listener.commands()) == 2
        listener.send(changed(OMI, "NW", "M1"))
        assert len({command.meta.event_id for command in listener.commands()}) == 2


@pytest.mark.parametrize(
    ("told", "code", "error"),
    [
        (OMI.replace("S^STAT^HL70485", "URGENT"), "AE", "103"),
        (OMI.replace("A-100", "A" * 17), "AE", "102"),
        (OMI.replace("\rPID", "\rZID"), "AE", "101"),
        (OMI.replace("OMI^O23^OMI_O23", "ADT^A01"), "AR", "200"),
        (OMI.replace("|P|2.5.1", "|P|3.0"), "AR", "203"),
        (OMI.replace("|P|2.5.1", "|T|2.5.1"), "AR", "202"),
        (OMI.replace("MSH|^~\\&", "MSH|^~\\|"), "AR", "100"),
        ("hello", "AR", "100"),
        ("", "AR", "100"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_reason_and_the_connection_goes_on(
    told: str, code: str, error: str
) -> None:
    with running_listener() as listener, listener.connection() as ris:
        answer = ris.send(told)
        assert msa(answer)[0] == code
        assert error in next(segment for segment in answer if segment.startswith("ERR"))
        assert not any(word in str(answer) for word in ("Doe", "Jane", "P1"))
        assert listener.commands() == []
        assert msa(ris.send(OMI)) == ["AA", "M4711"]


def test_nothing_is_accepted_while_the_log_is_away() -> None:
    with running_listener() as listener, listener.connection() as ris:
        listener.log.away = True
        answer = ris.send(OMI)
        assert msa(answer) == ["AR", "M4711"]
        assert "send it again" in str(answer)
        assert "commit" in listener.health.failing()
        listener.log.away = False
        assert msa(ris.send(OMI)) == ["AA", "M4711"]
        assert len(listener.commands()) == 1


class RefusingStore(MemoryStore):
    def create(self, new: NewObject) -> Stored:
        raise StoreRefused("too large")


def test_an_order_that_the_store_refuses_is_not_asked_for_again_and_the_service_stays_ready() -> None:
    with running_listener(Hospital(store=RefusingStore())) as listener, listener.connection() as ris:
        answer = ris.send(OMI)
        assert msa(answer) == ["AR", "M4711"]
        assert "sending it again does not help" in str(answer)
        assert "commit" not in listener.health.failing()
        assert listener.commands() == []


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", ""),
        (b"\x00\x00\r\n\x01", ""),
        (END + b"\r", ""),
        (START + OMI.encode()[:200], "AR"),
        (START + b"MSH|" + b"A" * 300, "AR"),
        (START + OMI.encode()[:100] + START + OMI.encode() + END + b"\r", "AR"),
        (START + OMI.encode() + b"\rNTE|||" + b"x" * (3 * MEBI), "AR"),
    ],
)
def test_what_is_no_frame_is_answered_or_closed_in_time_and_others_go_on(sent: bytes, answered: str) -> None:
    with running_listener(message_timeout_s=0.5) as listener, listener.connection() as ris:
        sender = threading.Thread(target=_sent, args=(ris.socket, sent))
        sender.start()
        assert msa(listener.send(ORM)) == ["AA", "M4712"]
        try:
            answer = ris.answer()
        except ConnectionError:
            answer = []  # what was not read is thrown away with the connection
        sender.join()
        assert answer == [] or msa(answer)[0] == answered
        assert [command.study_uid for command in listener.commands()] == [STUDY]


def _sent(peer: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        peer.sendall(data)


def test_a_hundred_megabytes_cost_no_memory() -> None:
    with running_listener() as listener, listener.connection() as ris:
        before = resident_bytes()
        chunk = b"x" * MEBI
        sent = 0
        try:
            ris.socket.sendall(START + OMI.encode())
            for _ in range(100):
                ris.socket.sendall(chunk)
                sent += 1
        except OSError:
            pass  # closed as it ought to be
        assert sent < 100
        assert resident_bytes() - before < 64 * MEBI
        assert msa(listener.send(OMI)) == ["AA", "M4711"]


def test_a_sender_that_trickles_loses_its_connection_and_blocks_nobody() -> None:
    with running_listener(message_timeout_s=0.5) as listener, listener.connection() as ris:

        def trickle() -> None:
            """For ever."""
            for sign in itertools.chain(START + OMI.encode(), itertools.repeat(ord("x"))):
                ris.socket.sendall(bytes([sign]))
                assert msa(listener.send(ORM)) == ["AA", "M4712"]

        with pytest.raises(ConnectionError):
            trickle()
        assert {command.study_uid for command in listener.commands()} == {STUDY}
        assert len({command.order_id for command in listener.commands()}) == 1


def test_idle_connections_are_closed_and_make_room() -> None:
    with running_listener(connections_max=2, idle_timeout_s=3.0) as listener:
        idle = [socket.create_connection(("127.0.0.1", listener.port), timeout=10) for _ in range(6)]
        wait_until(lambda: _answered(listener), "an answer once the idle ones are gone")
        for peer in idle:
            peer.close()


def _answered(listener: Running) -> bool:
    try:
        return bool(listener.send(OMI))
    except ConnectionError:
        return False


def test_only_named_peers_are_listened_to() -> None:
    with running_listener(addresses=("10.0.0.0/24",)) as listener:
        assert not _answered(listener)
    with running_listener(addresses=("10.0.0.0/24", "127.0.0.0/8")) as listener:
        assert _answered(listener)


def test_a_network_with_bits_beyond_it_is_said_with_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.7/24 has bits beyond its network's; write 10\.0\.0\.0/24"):
        Settings(http_port=0, port=0, addresses=("10.0.0.7/24",))


def test_a_port_in_use_is_one_clear_message() -> None:
    with running_listener() as listener, pytest.raises(ConfigError, match=r"cannot be listened on .*set another port"):
        Listener(Settings(http_port=0, port=listener.port), listener.receiver, listener.door)


def test_another_client_is_understood(tmp_path: Path) -> None:
    """The sender that comes with the library hl7, which nobody here wrote."""
    (tmp_path / "order.hl7").write_bytes(framed(OMI.encode()))
    with running_listener() as listener:
        program = "import sys; from hl7.client import mllp_send; sys.exit(mllp_send())"
        command = [sys.executable, "-c", program, "--port", str(listener.port), "--file", str(tmp_path / "order.hl7")]
        done = subprocess.run([*command, "127.0.0.1"], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert b"MSA|AA|M4711" in done.stdout
        assert len(listener.commands()) == 1
