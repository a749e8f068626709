"""How each node is reached by TLS, out of the configuration; its files are read again when they change."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from streams.config import Config, ConfigError
from streams.nodes import Node, settings_of
from streams.tls.certificate import fingerprint_of
from streams.tls.files import Files
from streams.tls.ours import Ours, as_client, as_server
from streams.tls.reaching import Secured
from streams.watched import Watched

SECTION: Final = "dicom.tls"
_Key = tuple[Path, bool]


class Clients:
    """Used from any thread. What was read before stays in force where files are broken meanwhile."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError for a section [dicom] that cannot be used. Files are read when they are first needed."""
        self._folder = config.path.absolute().parent
        self._path = config.path
        self._tls = settings_of(config).tls
        self._lock = threading.Lock()
        self._watched: dict[_Key, Watched[Ours]] = {}

    def of(self, node: Node) -> Secured | None:
        """None for a node without TLS. Raises ConfigError where files cannot be used, or there are none."""
        if not node.tls:
            return None
        if self._tls is None:
            raise ConfigError(
                f"{self._path}: {node.ae_title} wants TLS, and nothing says with what: add [dicom.tls] with "
                "certificate, key and ca (docs/hospitals.md)"
            )
        tls = self._tls if node.ca is None else msgspec.structs.replace(self._tls, ca=self._folder / node.ca)
        by_host = not (node.common_name or node.fingerprints)
        known = frozenset(fingerprint_of(text) for text in node.fingerprints)
        return Secured(self._ours(tls, by_host=by_host).context, node.host, node.common_name, known)

    def listening(self) -> ssl.SSLContext:
        """For a node with TLS that opens an association with us in its turn. Raises ConfigError."""
        assert self._tls is not None  # noqa: S101 - `of` was asked before
        return as_server(self._tls, SECTION).context

    def look(self) -> None:
        """Reads what changed: to be called about once a second by who runs for long."""
        with self._lock:
            for watched in self._watched.values():
                watched.look()

    @property
    def problem(self) -> str:
        """Why files as they are now cannot be used; empty where they can."""
        with self._lock:
            return "; ".join(sorted({one.problem for one in self._watched.values() if one.problem}))

    def ends(self) -> Iterator[tuple[str, datetime]]:
        """When the first of what each file holds ends, of those that were read: certificate, ca, crl."""
        with self._lock:
            read = [one.value.ends_at for one in self._watched.values()]
        return ((what, at) for ends_at in read for what, at in ends_at.items())

    def _ours(self, tls: Files, *, by_host: bool) -> Ours:
        key = (tls.ca, by_host)
        with self._lock:
            if key not in self._watched:
                read: Callable[[], Ours] = lambda: as_client(tls, SECTION, by_host=by_host)  # noqa: E731
                self._watched[key] = Watched("dicom_tls", tls.files, read)
            return self._watched[key].value
