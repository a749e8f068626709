"""What a home decides when it is made and keeps for ever."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from infra.local import home as homes
from infra.local import ports, state
from infra.local.errors import StackError
from infra.local.parts import kafka
from infra.local.state import Secrets, State
from infra.local.tools import cache

# Beside the usual ones, where other servers are.
BROKER, CONTROLLER = 19092, 19093
SERVERS = {
    "registry": 18081,
    "registry-management": 18082,
    "store": 17070,
    "postgres": 15432,
    "router": 11112,
    "stow": 18080,
    "worklist": 11113,
    "orders": 12575,
    "gateway": 18042,
    "retrieve": 11114,
}
TRITON = {"triton-http": 18000, "triton-grpc": 18001, "triton-metrics": 18002}
HTTP = {
    "router-http": 9101,
    "validate-http": 9102,
    "derive-http": 9103,
    "revisions-http": 9104,
    "catalog-http": 9105,
    "ai-http": 9106,
    "tiering-http": 9107,
    "lag-http": 9108,
    "windows-http": 9109,
    "forward-http": 9110,
    "orders-http": 9115,
    "worklist-http": 9116,
    "commitment-http": 9111,
    "chains-http": 9112,
    "gateway-http": 9117,
    "retrieve-http": 9118,
}
BROKERS = (1, 3)


def found(home: Path, brokers: int | None) -> None:
    """Makes the state of a new home; checks an old one and gives it ports for the parts it lacks. Raises StackError."""
    known = state.read(home)
    if known is None:
        _make(home, brokers or 1)
    elif brokers is not None and brokers != known.brokers:
        raise StackError(
            f"{home} was made with {known.brokers} broker(s), which stays; for {brokers} give another folder "
            f"in {homes.ENVIRONMENT}, or start anew: radstream down --wipe"
        )
    elif missing := {name: port for name, port in {**SERVERS, **TRITON, **HTTP}.items() if name not in known.ports}:
        _add_ports(home, known, missing)


def _add_ports(home: Path, known: State, missing: Mapping[str, int]) -> None:
    with ports.choosing(cache.folder().parent, home) as taken:
        added = ports.choose(missing, {*taken, *known.ports.values()})
        state.write(home, msgspec.structs.replace(known, ports={**known.ports, **added}))


def _make(home: Path, brokers: int) -> None:
    if brokers not in BROKERS:
        raise StackError(f"--brokers {brokers}: one or three")
    preferred = {**SERVERS, **TRITON, **HTTP}
    for number, name in enumerate(kafka.names(brokers)):
        preferred |= {name: BROKER + 2 * number, f"{name}-controller": CONTROLLER + 2 * number}
    # Other homes wait until this one's ports are written down.
    with ports.choosing(cache.folder().parent, home) as taken:
        made = State(
            brokers=brokers,
            cluster=_kafka_id(),
            directories=tuple(_kafka_id() for _ in range(brokers)),
            ports=ports.choose(preferred, taken),
            secrets=Secrets(*(secrets.token_hex(16) for _ in Secrets.__struct_fields__)),
        )
        state.write(home, made)


def _kafka_id() -> str:
    """As Kafka's own random ids: 16 bytes, base64 without padding; a leading dash would look like an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
