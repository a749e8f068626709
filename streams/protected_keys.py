"""The keys of the protected blocks: from a file here, from a key service behind the same protocol elsewhere."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from streams.config import ConfigError

ENCRYPTION_KEY_BYTES = 64  # AES-256 in SIV mode takes two keys of 32 bytes (RFC 5297 section 2.2)
NAMING_KEY_BYTES = 32  # HMAC-SHA-256 (RFC 2104)
MODE = 0o600
OTHERS = 0o077


class UnknownKey(Exception):
    """No key of that id. The block cannot be read here: another site's, or a key that was taken away."""


class Keys(Protocol):
    """What a key service gives. Called from many threads; keys in memory only."""

    def current(self) -> str:
        """The id of the key to encrypt with: at most 255 printable ASCII characters. Changes when keys rotate."""

    def encryption(self, key_id: str) -> bytes:
        """An AES-256-SIV key (64 bytes). Raises UnknownKey."""

    def naming(self) -> bytes:
        """The site's HMAC key (32 bytes). It never changes: every block's name is made with it."""


class FileKeys:
    """Keys from the file that [protected].key_file names. Read once."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where the file is absent, can be read by others, or is not as `create_key_file` writes."""
        content = _read(path)
        self._current = content.current
        self._naming = _key(path, "naming", content.naming, NAMING_KEY_BYTES)
        self._keys = {name: _key(path, name, text, ENCRYPTION_KEY_BYTES) for name, text in content.keys.items()}
        if self._current not in self._keys:
            raise ConfigError(f"{path}: 'current' names a key that is not in [keys]")

    def current(self) -> str:
        return self._current

    def encryption(self, key_id: str) -> bytes:
        if key_id not in self._keys:
            raise UnknownKey(f"the key file has no key '{key_id}'")
        return self._keys[key_id]

    def naming(self) -> bytes:
        return self._naming


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current: str
    naming: str
    keys: Mapping[str, str]


_TEMPLATE = """\
# The keys of this site's protected blocks: patient attributes are encrypted with them.
# Keep a copy in a safe place: without this file no name can be read again. Give it to nobody.
# To rotate, add a key to [keys] and let 'current' name it; keep the old ones. 'naming' never changes.
current = "{current}"
naming = "{naming}"

[keys]
{current} = "{key}"
"""


def create_key_file(path: Path) -> None:
    """Writes new random keys into a new file of mode 0600. Raises FileExistsError: keys are never replaced."""
    text = _TEMPLATE.format(
        current=f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
        naming=base64.b64encode(secrets.token_bytes(NAMING_KEY_BYTES)).decode(),
        key=base64.b64encode(secrets.token_bytes(ENCRYPTION_KEY_BYTES)).decode(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> _Content:
    try:
        if path.stat().st_mode & OTHERS:
            raise ConfigError(f"{path}: others can read this key file; give it mode 0600: chmod 600 {path}")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        content = msgspec.convert(values, _Content)
    except OSError as error:
        why = type(error).__name__
        raise ConfigError(f"{path}: the key file cannot be read ({why}); restore it, or mend [protected]") from None
    except (ValueError, msgspec.ValidationError):
        # The parser's text may quote a key.
        raise ConfigError(f"{path}: not a key file; restore it from its copy") from None
    for name in content.keys:
        if not (name.isascii() and name.isprintable() and 0 < len(name) <= 255):
            raise ConfigError(f"{path}: [keys] has a name that is not 1 to 255 printable ASCII characters")
    return content


def _key(path: Path, name: str, text: str, length: int) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != length:
        raise ConfigError(f"{path}: '{name}' is not {length} bytes in base64; restore the file from its copy")
    return key
