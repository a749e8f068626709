"""One process takes another's ports: what each says, what becomes of both where one fails, and who may ask."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.config import ConfigError
from streams.handover import newcomer
from streams.handover.handover import Handover
from streams.handover.messages import Ask, Broken, Channel, Done, Offer, Ready, Refusal, Serving, Yours
from streams.handover.place import Place
from streams.ports import Port, Ports
from streams.stop import Stop
from tests.waiting import wait_until

SECONDS = 30.0


class Nothing:
    """Serves nothing beside."""

    def open(self) -> None: ...

    def start(self) -> None: ...


@dataclass
class Service:
    """A service that answers each connection with its name and closes it. Its peers are who it is told to be."""

    name: str
    place: Place
    number: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.handover = Handover(self.stopping, self.place, self.facts)
        self.handover.begin(Nothing())
        self.port: Port | None = None

    def serve(self) -> Service:
        self.open()
        self.start()
        self.handover.serving()
        return self

    def open(self) -> None:
        assert self.handover.ask()
        self.port = self.handover.ports.open("greeting", self.host, self.number)
        self.handover.take()

    def start(self) -> None:
        assert self.port is not None
        self.port.start(self._greet)

    def close(self) -> None:
        self.handover.close()
        if self.port is not None:
            self.port.close()

    def _greet(self, connected: socket.socket, _: Any) -> None:
        with connected:
            connected.sendall(self.name.encode())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    # Longer than the address of a Unix socket may be.
    return Place(tmp_path / ("long" * 30), "greeter-1")


@pytest.fixture
def services(place: Place) -> Iterator[Callable[..., Service]]:
    with ExitStack() as stack:
        yield lambda name, **about: stack.enter_context(closing(Service(name, place, **about)))


def greeting(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer:
        return peer.recv(64).decode()


@contextmanager
def asking(place: Place) -> Iterator[Channel]:
    connected = place.connect()
    assert connected is not None
    with closing(Channel(connected)) as channel:
        yield channel


def test_the_newer_one_serves_on_the_same_socket_and_the_older_one_is_told_to_end(
    services: Callable[..., Service],
) -> None:
    old = services("old").serve()
    assert old.port is not None
    assert greeting(old.port.number) == "old"
    new = services("new").serve()
    assert new.port is not None
    assert new.port.number == old.port.number
    wait_until(old.stopping.is_set, "the older one to be told")
    assert old.handover.done
    old.close()
    assert greeting(new.port.number) == "new"


def test_a_connection_that_waits_in_the_queue_is_taken_by_the_newer_one(services: Callable[..., Service]) -> None:
    old = services("old").serve()
    assert old.port is not None
    new = services("new")
    new.open()
    with socket.create_connection(("127.0.0.1", old.port.number), timeout=SECONDS) as waiting:
        new.start()
        new.handover.serving()
        old.close()
        assert waiting.recv(64) == b"new"


def test_three_in_a_row_and_two_at_once(services: Callable[..., Service]) -> None:
    old = services("old").serve()
    assert old.port is not None
    newer = [services(name) for name in ("second", "third")]
    threads = [threading.Thread(target=one.serve) for one in newer]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS * 6)
    wait_until(old.stopping.is_set, "the first one to be told")
    wait_until(lambda: any(one.stopping.is_set() for one in newer), "one of the others to be told")
    (ended,) = (one for one in newer if one.stopping.is_set())
    (serving,) = (one for one in newer if not one.stopping.is_set())
    old.close()
    ended.close()
    assert greeting(old.port.number) == serving.name


@pytest.mark.parametrize("last", ["ask", "ready"])
def test_a_newer_one_that_is_gone_before_it_serves_changes_nothing(
    services: Callable[..., Service], place: Place, last: str
) -> None:
    old = services("old").serve()
    assert old.port is not None
    with asking(place) as channel:
        channel.say(Ask(speaks=(1,)))
        offer = channel.hear(Offer, seconds=SECONDS)
        assert [one.name for one in offer.sockets] == ["greeting"]
        assert len(channel.descriptors) == 1
        if last == "ready":
            channel.say(Ready())
            channel.hear(Yours, seconds=SECONDS)
            # Nobody takes connections now: this one has to wait, and is not lost.
            waiting = socket.create_connection(("127.0.0.1", old.port.number), timeout=SECONDS)
            waiting.setblocking(False)
            with pytest.raises(BlockingIOError):
                waiting.recv(64)
            waiting.settimeout(SECONDS)
    if last == "ready":
        with waiting:
            assert waiting.recv(64) == b"old"
    assert greeting(old.port.number) == "old"
    assert not old.stopping.is_set()
    assert services("new").serve().port is not None
    wait_until(old.stopping.is_set, "the older one to be told by the next")


@pytest.mark.parametrize("last", ["offer", "yours", "serving"])
def test_an_older_one_that_is_gone_meanwhile_leaves_its_ports_to_the_newer_one(
    services: Callable[..., Service], place: Place, last: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        meeting = place.listen()

        def old() -> None:
            while True:
                connected, _ = meeting.accept()
                with closing(Channel(connected)) as channel:
                    try:
                        channel.hear(Ask, seconds=SECONDS)
                    except Broken:
                        continue  # It only looked who is here.
                    about = [{"name": "greeting", "host": "127.0.0.1", "address": "127.0.0.1", "number": number}]
                    sockets = msgspec.convert(about, tuple[Any, ...])
                    channel.say(Offer(speaks=1, sockets=sockets), [listening.fileno()])
                    if last != "offer":
                        channel.hear(Ready, seconds=SECONDS)
                        if last == "serving":
                            channel.say(Yours())
                            channel.hear(Serving, seconds=SECONDS)
                    meeting.close()
                    listening.close()
                    return

        dying = threading.Thread(target=old)
        dying.start()
        new = services("new", number=number).serve()
        dying.join(SECONDS)
    assert new.port is not None
    assert greeting(number) == "new"
    assert not new.stopping.is_set()


def test_an_older_one_that_answers_too_late_learns_that_it_has_to_go_on(
    services: Callable[..., Service], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was suspended between the last two words: both would end."""
    monkeypatch.setattr(newcomer, "_ANSWER_S_MAX", 2.0)
    with place.listen() as meeting:
        new = services("new")
        # It only looked who is here.
        meeting.accept()[0].close()
        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(new.serve)
            connected, _ = meeting.accept()
            with closing(Channel(connected)) as channel:
                channel.hear(Ask, seconds=SECONDS)
                channel.say(Offer(speaks=1))
                channel.hear(Ready, seconds=SECONDS)
                channel.say(Yours())
                channel.hear(Serving, seconds=SECONDS)
                # Whoever waited for the last word in vain looks whether somebody is here, and ends.
                meeting.accept()[0].close()
                with pytest.raises(Broken):
                    channel.say(Done())
            with pytest.raises(Stop, match="who served goes on"):
                serving.result(SECONDS)


def test_a_newer_one_whose_port_is_taken_by_others_leaves_the_older_one_as_it_was(
    services: Callable[..., Service],
) -> None:
    old = services("old").serve()
    assert old.port is not None
    with socket.create_server(("127.0.0.1", 0)) as other:
        new = services("new", number=other.getsockname()[1])
        with pytest.raises(ConfigError, match="cannot be listened on"):
            new.serve()
        new.close()
    assert greeting(old.port.number) == "old"
    assert not old.stopping.is_set()


def test_an_address_that_changes_is_told_from_a_port_that_others_have(services: Callable[..., Service]) -> None:
    old = services("old").serve()
    assert old.port is not None
    new = services("new", number=old.port.number, host="0.0.0.0")  # noqa: S104 - it is refused
    why = r"the process that serves has it at 127\.0\.0\.1.*radstream down router && radstream up router"
    with pytest.raises(ConfigError, match=why):
        new.serve()
    new.close()
    assert greeting(old.port.number) == "old"


def test_configurations_that_do_not_go_together_are_not_handed_over(services: Callable[..., Service]) -> None:
    old = services("old", facts={"spool": "/here", "of the older": "x"}).serve()
    new = services("new", facts={"spool": "/there", "of the newer": "y"})
    with pytest.raises(ConfigError, match=r"serves with spool /here, and this configuration has /there"):
        new.serve()
    new.close()
    assert not old.stopping.is_set()
    services("third", facts={"spool": "/here"}).serve()
    wait_until(old.stopping.is_set, "the older one to be told by one that agrees")


def test_a_version_that_speaks_otherwise_is_refused_and_one_that_says_more_is_not(
    services: Callable[..., Service], place: Place
) -> None:
    old = services("old").serve()
    with asking(place) as channel:
        channel.say(Ask(speaks=(7, 8)))
        assert "[1]" in channel.hear(Refusal, seconds=SECONDS).why
    assert not old.stopping.is_set()
    connected = place.connect()
    assert connected is not None
    with connected:
        connected.sendall(b'{"say":"ask","speaks":[1,2],"since":"2031","sockets_wanted":["a"]}')
        said = msgspec.json.decode(connected.recv(65_536))
        assert (said["say"], said["speaks"]) == ("offer", 1)


def test_an_older_one_that_speaks_otherwise_is_one_message(services: Callable[..., Service], place: Place) -> None:
    with place.listen() as meeting:

        def old() -> None:
            for _ in range(2):
                connected, _ = meeting.accept()
                with closing(Channel(connected)) as channel:
                    try:
                        channel.hear(Ask, seconds=SECONDS)
                    except Broken:
                        continue
                    channel.say(Refusal(why="version 9 hands over in versions [9]"))

        thread = threading.Thread(target=old)
        thread.start()
        new = services("new")
        with pytest.raises(Stop, match=r"version 9 hands over .* stop it, then start this one"):
            new.serve()
        thread.join(SECONDS)


@pytest.mark.parametrize("said", [b"hello", b'{"say":"serving"}', b'{"say":"ask","speaks":"all"}', b"\0" * 60_000])
def test_what_is_not_understood_ends_the_conversation_alone(
    services: Callable[..., Service], place: Place, said: bytes
) -> None:
    old = services("old").serve()
    assert old.port is not None
    connected = place.connect()
    assert connected is not None
    with connected:
        connected.settimeout(SECONDS)
        connected.sendall(said)
        assert connected.recv(64) == b""
    assert greeting(old.port.number) == "old"


def test_the_folder_is_private_or_not_used(tmp_path: Path, services: Callable[..., Service], place: Place) -> None:
    services("old").serve()
    assert place.folder.stat().st_mode & 0o777 == 0o700
    open_to_others = tmp_path / "open"
    open_to_others.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match=r"is not private.*chmod 700"):
        Place(open_to_others, "greeter-1")


def test_another_users_process_gets_nothing(services: Callable[..., Service], place: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("to become another user it needs root")
    services("old").serve()
    # The folder keeps others out; one that got in all the same is still not the service's user.
    place.folder.chmod(0o711)
    (place.folder / "greeter-1.socket").chmod(0o666)
    folder = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY)
    ask = (
        "import socket; peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        f"peer.connect('/proc/self/fd/{folder}/greeter-1.socket'); "
        """peer.sendall(b'{"say":"ask","speaks":[1]}'); print("got", peer.recv(64))"""
    )
    try:
        command = ["/usr/bin/python3", "-c", ask]
        said = subprocess.run(command, user=65_534, pass_fds=(folder,), capture_output=True, text=True, check=False)
    finally:
        os.close(folder)
    assert said.stdout == "got b''\n" or "BrokenPipeError" in said.stderr or "ConnectionResetError" in said.stderr


def test_ports_that_nobody_wants_any_more_are_let_go() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        old = [Port(name, "127.0.0.1", listening) for name, listening in (("a", first), ("b", second))]
        ports = Ports()
        ports.inherit(tuple(port.offered for port in old), [os.dup(port.descriptor) for port in old])
        numbers = [port.number for port in old]
        taken = ports.open("a", "127.0.0.1", numbers[0])
        ports.forget()
        for port in old:
            port.close()
    taken.start(lambda connected, _: connected.close())
    with socket.create_connection(("127.0.0.1", numbers[0]), timeout=SECONDS) as peer:
        assert peer.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", numbers[1]), timeout=SECONDS)
    taken.close()


def test_where_nobody_meets_ports_are_opened_and_no_more() -> None:
    handover = Handover(threading.Event())
    handover.begin(Nothing())
    assert handover.ask()
    port = handover.ports.open("greeting", "127.0.0.1", 0)
    handover.take()
    handover.serving()
    handover.close()
    port.close()
    assert not handover.done


def test_a_descriptor_that_changed_hands_meanwhile_is_not_taken_for_the_port() -> None:
    with closing(Port("p", "127.0.0.1", socket.create_server(("127.0.0.1", 0)))) as older, socket.socket() as other:
        ports = Ports()
        ports.inherit((older.offered,), [os.dup(other.fileno())])
        with pytest.raises(ConfigError, match="cannot be listened on"):
            ports.open("p", "127.0.0.1", older.number)
