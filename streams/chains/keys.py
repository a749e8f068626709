"""The keys that heads are signed with (Ed25519, RFC 8032): the private half for the service, the public one for all."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from streams.config import ConfigError
from streams.protected_keys import MODE, OTHERS

KEY_BYTES = 32

K = TypeVar("K", bound=msgspec.Struct)

_PRIVATE = """\
# The keys that this site signs the heads of its chains with. Give them to nobody.
# To rotate: add a key (openssl rand -base64 32) under a new name to [keys], let 'current' name it, keep the old ones;
# then add the line that `radstream verify --show-keys` prints to the file of public keys: radstream restart chains
current = "{name}"

[keys]
"{name}" = "{key}"
"""
_PUBLIC = """\
# The public halves of the keys that sign the heads of this site's chains: `radstream verify` believes no other.
# Keep a copy where whoever can write to the archive cannot.
"""


class _Private(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current: str
    keys: Mapping[str, str]


class _Public(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: Mapping[str, str]


class Signing:
    """The private keys of a file. Read once."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where the file is absent, can be read by others, or is not as `create` writes it."""
        content = _read(path, _Private, private=True)
        if content.current not in content.keys:
            raise ConfigError(f"{path}: 'current' names a key that is not in [keys]")
        self.key_id = content.current
        self._keys = {
            name: Ed25519PrivateKey.from_private_bytes(_key(path, name, text)) for name, text in content.keys.items()
        }

    @property
    def public_key(self) -> bytes:
        """The public half (32 bytes) of the key that signs now."""
        return _raw(self._keys[self.key_id])

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self._keys[self.key_id].sign(data)

    def public_text(self) -> str:
        """The file of public keys that belongs to this one."""
        lines = (f'"{name}" = "{base64.b64encode(_raw(key)).decode()}"\n' for name, key in self._keys.items())
        return f"{_PUBLIC}\n[keys]\n{''.join(lines)}"


class Trusted:
    """The public keys of a file: what was signed with another is not believed."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where the file is absent or is not as `create` writes it."""
        content = _read(path, _Public, private=False)
        self._keys = {
            name: Ed25519PublicKey.from_public_bytes(_key(path, name, text)) for name, text in content.keys.items()
        }

    def knows(self, key_id: str) -> bool:
        return key_id in self._keys

    def signed(self, key_id: str, signature: bytes, data: bytes) -> bool:
        """Whether the key of that name has signed the data."""
        try:
            self._keys[key_id].verify(signature, data)
        except (KeyError, InvalidSignature):
            return False
        return True


def create(private: Path, public: Path) -> None:
    """Writes a new key into a new file of mode 0600, and its public half. Raises FileExistsError: none is replaced."""
    name = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
    text = _PRIVATE.format(name=name, key=base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    _write(private, text, MODE)
    _write(public, Signing(private).public_text(), 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, kind: type[K], *, private: bool) -> K:
    try:
        if private and path.stat().st_mode & OTHERS:
            raise ConfigError(f"{path}: others can read this key file; give it mode 0600: chmod 600 {path}")
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except OSError as error:
        why = type(error).__name__
        raise ConfigError(f"{path}: the key file cannot be read ({why}); restore it, or mend [chains]") from None
    except (ValueError, msgspec.ValidationError):
        # The parser's text may quote a key.
        raise ConfigError(f"{path}: not a file of chain keys; restore it from its copy") from None


def _key(path: Path, name: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path}: '{name}' is not {KEY_BYTES} bytes in base64; restore the file from its copy")
    return key


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
