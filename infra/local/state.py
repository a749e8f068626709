"""`stack.json`: what the stack decided once and keeps for ever: ports, secrets, the number of brokers."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from infra.local.errors import StackError
from infra.local.home import STATE


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    access_key: str
    secret_key: str
    database_admin: str
    database: str


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`directories` are the Kafka directory ids of the brokers, in their order (KIP-853).

    `durable` says whether the file system keeps what the object store acknowledged; None before the first start.
    """

    brokers: int
    cluster: str
    directories: tuple[str, ...]
    ports: dict[str, int]
    secrets: Secrets
    durable: bool | None = None


def read(home: Path) -> State | None:
    """The state of a home, or None for a new one. Raises StackError for a file that cannot be used."""
    path = home / STATE
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StackError(
            f"{path}: cannot be used ({error}); put it back from a copy, or start anew: radstream down --wipe"
        ) from None


def write(home: Path, state: State) -> None:
    write_private(home / STATE, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")


def write_private(path: Path, data: bytes) -> None:
    """All or nothing, readable by the owner alone, on the disk when this returns."""
    new = path.with_name(path.name + ".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
