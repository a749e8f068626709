"""The peers file: TOML, a table for each peer. Everything that is wrong with it is said at once, with its line.

[[peer]]
ae_title = "CT1"
addresses = ["10.20.3.0/24", "2001:db8:20::7"]
common_name = "ct1.radiology.example"
plain = { address = "10.20.3.17", until = 2027-03-31 }
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from schemas import Lane
from streams.config import ConfigError, Section
from streams.networks import Network, network_of
from streams.peers.exceptions import Excepted, exception
from streams.peers.lines import Lines
from streams.peers.peer import Peer, Peers, Plain
from streams.titles import AeTitle
from streams.tls.certificate import fingerprint_of

_TABLE: Final = "peer"


@dataclass(frozen=True)
class Problem:
    """`line` counts from 1; `text` says what is wrong, and what to write."""

    line: int
    text: str


class PeersWrong(ConfigError):
    """The file cannot be used; its text has a line for each problem."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(f"{path}:{problem.line}: {problem.text}" for problem in problems))
        self.problems = problems


class _Entry(Section, frozen=True, kw_only=True):
    """A peer as the file has it."""

    ae_title: AeTitle
    addresses: Annotated[tuple[str, ...], Meta(min_length=1)]
    common_name: Annotated[str, Meta(min_length=1)] | None = None
    fingerprints: tuple[str, ...] = ()
    plain: Excepted | None = None
    associations_max: Annotated[int, Meta(ge=1)] | None = None
    lane: Lane | None = None


class _Wrong(Exception):
    """`key` is where, within the peer."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def read_peers(path: Path) -> Peers:
    """Raises PeersWrong, or ConfigError where the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the peers file cannot be read ({type(error).__name__})") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise PeersWrong(path, (Problem(int(line[1]) if line else 1, f"not TOML: {error}"),)) from None
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, brackets in brackets: tomllib has no words for them.
        raise PeersWrong(path, (Problem(1, f"not a file of peers ({type(error).__name__})"),)) from None
    found = list(_read(values, Lines(text, _TABLE)))
    if problems := tuple(one for one in found if isinstance(one, Problem)):
        raise PeersWrong(path, problems)
    return Peers({peer.ae_title: peer for peer in found if isinstance(peer, Peer)})


def _read(values: dict[str, Any], lines: Lines) -> Iterator[Peer | Problem]:
    for name in values:
        if name != _TABLE:
            yield Problem(lines.top(name), f"nothing reads {name}; a peer is a table [[{_TABLE}]]")
    entries = values.get(_TABLE, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield Problem(lines.top(_TABLE), f"a peer is a table with two brackets: [[{_TABLE}]]")
        return
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        title = str(entry.get("ae_title", "")).strip(" ")
        try:
            if title in seen:
                raise _Wrong("ae_title", "is there twice; give the first one this peer's addresses too")
            yield _peer(msgspec.convert(entry, _Entry))
        except _Wrong as wrong:
            yield Problem(lines.of(number, wrong.key), f"[[{_TABLE}]] {title}: {wrong.key}: {wrong}")
        except msgspec.ValidationError as error:
            yield _misfit(error, number, title, lines)
        seen.add(title)


def _misfit(error: msgspec.ValidationError, number: int, title: str, lines: Lines) -> Problem:
    """What msgspec says of a peer, at the line that it says it of."""
    what, _, where = str(error).partition(" - at `$")
    path = where.rstrip("`").strip(".")
    key = re.split(r"[.\[]", path)[0]
    if absent := re.search(r"missing required field `([^`]+)`", what):
        what = f"{absent[1]} is missing"
    elif unknown := re.search(r"unknown field `([^`]+)`", what):
        key, what = key or unknown[1], f"there is no {unknown[1]}"
    return Problem(lines.of(number, key), f"[[{_TABLE}]] {title}: {f'{path}: ' if path else ''}{what}")


def _peer(entry: _Entry) -> Peer:
    peer = Peer(
        ae_title=entry.ae_title.strip(" "),
        addresses=tuple(_network(text) for text in entry.addresses),
        common_name=entry.common_name,
        fingerprints=frozenset(_fingerprint(text) for text in entry.fingerprints),
        plain=None if entry.plain is None else _exception(entry.plain),
        associations_max=entry.associations_max,
        lane=entry.lane,
    )
    if peer.common_name is not None and peer.fingerprints:
        raise _Wrong("fingerprints", "a peer is known by its common_name or by fingerprints; take one of them away")
    if peer.needs_tls and not peer.has_certificate and peer.plain is None:
        raise _Wrong(
            "ae_title",
            "nothing proves who it is: give common_name or fingerprints of its certificate, or an exception with an "
            "end date, plain = { address = ..., until = ... }",
        )
    if peer.plain is not None and not peer.has_address(peer.plain.address):
        raise _Wrong("plain", "its address is not one of addresses")
    return peer


def _exception(plain: Excepted) -> Plain:
    try:
        return exception(plain)
    except ValueError as error:
        raise _Wrong("plain", str(error)) from None


def _network(text: str) -> Network:
    try:
        return network_of(text)
    except ValueError as error:
        raise _Wrong("addresses", str(error)) from None


def _fingerprint(text: str) -> str:
    try:
        return fingerprint_of(text)
    except ValueError as error:
        raise _Wrong("fingerprints", str(error)) from None
