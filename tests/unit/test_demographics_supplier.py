"""The patient demographics supplier over a real connection: what it knows is found, and nothing it sends costs much."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

from consumers.catalog.imports import Patient
from producers.orders.framing import framed
from radstream.demographics.answer import NotAnswered
from radstream.demographics.config import Settings, Tls
from radstream.demographics.query import Known
from radstream.demographics.supplier import Supplier
from tests.certificates import Authority
from tests.demographics_suppliers import Person, hostile, knowing

JANE = Person("P1", "NORTH", "Doe", "Jane", "19500101", "F")
JANET = Person("P2", "NORTH", "Doe", "Janet", "19500110", "F")
OTHER = Person("P3", "NORTH", "Dow", "Jane", "19500101", "F")
ROE = Person("P4", "NORTH", "Roe", "Ann", "19610203", "F")
KNOWN = Known(name="DOE^JANE", birth_date="19500101", sex="F")
HEAD = r"MSH|^~\&|MPI|NORTH|RADSTREAM|here|20261129120000||RSP^K22^RSP_K21|R1|P|2.5||||||UNICODE UTF-8"
SECRETS = re.compile(r"\b(?:DOE|JANE|1950\d*|P1)\b", re.IGNORECASE)


def supplier(port: int, **settings: Any) -> Supplier:
    return Supplier(Settings(host="127.0.0.1", port=port, **settings), "here")


def refused(port: int, known: Known = KNOWN, **settings: Any) -> str:
    """Why there is no answer; it says nothing of the patient."""
    with pytest.raises(NotAnswered) as raised:
        supplier(port, **settings).ask(known)
    said = str(raised.value)
    assert SECRETS.search(said) is None, said
    return said


def test_whoever_it_may_be_is_found_although_one_thing_is_wrong() -> None:
    with knowing(JANE, JANET, OTHER, ROE) as there:
        found = supplier(there.port).candidates(KNOWN)
    assert {one.patient_id for one in found.patients} == {"P1", "P3"}
    assert not found.more
    assert there.criteria == [
        {"PID.5.1.1": "DOE", "PID.7": "19500101"},
        {"PID.7": "19500101", "PID.8": "F"},
        {"PID.5.1.1": "DOE", "PID.5.2": "JANE"},
    ]


def test_a_patient_is_as_orders_have_them() -> None:
    """The same issuer and the same form of name, so that both are one patient in the catalog."""
    with knowing(Person("P9", "&1.2.3&ISO", "Müller^X", "Ann\\T\\Eva", "19500101", "f")) as there:
        (found,) = supplier(there.port).ask(Known(birth_date="19500101")).patients
    assert found == Patient("P9", "1.2.3", "Müller^X^Ann&Eva", "19500101", "F")


def test_of_several_hospitals_numbers_ours_is_taken() -> None:
    person = Person("77", "SOUTH", "Doe", "Jane", "19500101")

    def say(peer: socket.socket, query: bytes) -> None:
        peer.sendall(framed(answered(query, person.pid("~P1^^^NORTH^PI~P0^^^NORTH^MR~1^^^EAST^MR"), person.pid())))

    with hostile(say) as port:
        found = supplier(port, domain="NORTH").ask(KNOWN)
        assert [(one.patient_id, one.issuer) for one in found.patients] == [("P0", "NORTH")]
        assert found.unusable == 1
        assert [one.patient_id for one in supplier(port).ask(KNOWN).patients] == ["77"]


@pytest.mark.parametrize("sign", ["\\E\\", "\\X1B\\", "\\.br\\"])
def test_a_number_that_no_image_could_carry_is_no_patients(sign: str) -> None:
    """A backslash makes two values of one (PS3.5 section 6.4), and a terminal obeys what stands behind an escape."""
    with knowing(Person(f"P{sign}1", "NORTH", "Doe", "Jane", "19500101")) as there:
        found = supplier(there.port).ask(Known(birth_date="19500101"))
    assert (found.patients, found.unusable) == ((), 1)


def test_of_several_names_the_legal_one_is_the_patients_as_in_orders() -> None:
    person = Person("P1", "NORTH", "Roe", "Jane^^^^^M~Doe^Jane^^^^^L", "19500101")
    with knowing(person) as there:
        (found,) = supplier(there.port).ask(Known(birth_date="19500101")).patients
    assert found.name == "Doe^Jane"


def test_more_than_were_asked_for_are_said_to_be_more() -> None:
    many = [Person(f"P{number}", "NORTH", "Doe", "Jane", "19500101") for number in range(9)]
    with knowing(*many) as there:
        found = supplier(there.port, patients_max=4).ask(Known(name="Doe"))
    assert (len(found.patients), found.more) == (4, True)
    with hostile(lambda peer, query: peer.sendall(framed(answered(query, *(one.pid() for one in many))))) as port:
        found = supplier(port, patients_max=4).ask(Known(name="Doe"))
    assert (len(found.patients), found.more) == (4, True)


def test_nobody_is_an_answer() -> None:
    with knowing(ROE) as there:
        assert supplier(there.port).candidates(KNOWN).patients == ()


def answered(query: bytes, *lines: str, code: str = "AA", found: str = "OK", number: str | None = None) -> bytes:
    asked = query.split(b"|")[9].decode() if number is None else number
    return "\r".join((HEAD, f"MSA|{code}|{asked}|DOE^JANE", f"QAK|{asked}|{found}", *lines, "")).encode()


def replying(make: Callable[[bytes], bytes]) -> Callable[[socket.socket, bytes], None]:
    return lambda peer, query: peer.sendall(make(query))


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (replying(lambda query: framed(answered(query, code="AE", found="AE"))), "MSA-1 AE, QAK-2 AE"),
        (replying(lambda query: framed(answered(query, code="JANE", found="DOE"))), "MSA-1 -, QAK-2 -"),
        (replying(lambda query: framed(answered(query, number="another"))), "another query than ours"),
        (replying(lambda query: framed(answered(query).replace(b"RSP^K22", b"ACK^Q22"))), "no RSP^K22"),
        (replying(lambda _: framed(b"MSA|AA|DOE")), "the message does not begin with MSH"),
        (replying(lambda query: framed(answered(query) + b"PID|" * 51_000)), "more than 2000 segments or 50000 fields"),
        (replying(lambda query: framed(answered(query).replace(b"UNICODE UTF-8", b"DOE"))), "character set"),
        (replying(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not begin with a start block"),
        (replying(lambda query: framed(answered(query))[:-20]), "a message does not end"),
        (replying(lambda _: b""), "gave no answer"),
        (replying(lambda _: framed(b"MSH|^~\\&" + b"x" * 400_000)), "a message has more than 300000 bytes"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(say: Callable[[socket.socket, bytes], None], why: str) -> None:
    with hostile(say) as port:
        assert why in refused(port, answer_bytes_max=300_000)


def test_who_says_nothing_or_a_byte_at_a_time_is_not_waited_for() -> None:
    released = threading.Event()

    def trickle(peer: socket.socket, _: bytes) -> None:
        peer.sendall(b"\x0bMSH")
        while not released.wait(0.05):
            peer.sendall(b"|")

    with hostile(lambda *_: released.wait(30) and None) as port:
        assert "gave no answer within 0.2 s" in refused(port, answer_s=0.2)
        released.set()
    released.clear()
    with hostile(trickle) as port:
        assert "a message does not end" in refused(port, answer_s=2.0)
        released.set()


def test_who_is_not_there_is_named_with_the_section() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert f"127.0.0.1:{port} cannot be asked (Connection refused); see [demographics]" in refused(port)


def test_when_one_query_is_refused_the_others_are_asked() -> None:
    """Many suppliers want a name: a date alone is too wide for them."""

    def say(peer: socket.socket, query: bytes) -> None:
        narrow = b"PID.5.1.1" in query
        peer.sendall(framed(answered(query, *([JANE.pid()] if narrow else []), code="AA" if narrow else "AE")))

    with hostile(say) as port:
        assert [one.patient_id for one in supplier(port).candidates(KNOWN).patients] == ["P1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def served(authority: Authority, *hosts: str) -> ssl.SSLContext:
    """A supplier that wants a certificate of ours."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    identity = authority.issue("mpi", hosts=hosts)
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def by_tls(authority: Authority, port: int, **known: Any) -> Supplier:
    ours = authority.issue("radstream")
    tls = Tls(certificate=ours.certificate_file, key=ours.key_file, ca=authority.file, **known)
    return supplier(port, tls=tls, answer_s=30)


def test_by_tls_both_sides_are_proven_before_a_name_is_said(authority: Authority) -> None:
    with knowing(JANE, tls=served(authority, "127.0.0.1")) as there:
        assert [one.patient_id for one in by_tls(authority, there.port).ask(KNOWN).patients] == ["P1"]
        with pytest.raises(NotAnswered, match="has not the common name archive"):
            by_tls(authority, there.port, common_name="archive").ask(KNOWN)
        assert len(there.queries) == 1
    with knowing(JANE, tls=served(authority, "mpi.example")) as there:
        with pytest.raises(NotAnswered, match=r"its certificate is not for the host 127\.0\.0\.1"):
            by_tls(authority, there.port).ask(KNOWN)
        assert [one.patient_id for one in by_tls(authority, there.port, common_name="mpi").ask(KNOWN).patients] == [
            "P1"
        ]
    seen: list[bytes] = []
    with hostile(lambda _, data: seen.append(data)) as port, pytest.raises(NotAnswered, match="TLS"):
        by_tls(authority, port).ask(KNOWN)
    assert b"DOE" not in b"".join(seen)
