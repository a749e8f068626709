"""STOW-RS as a user agent (PS3.18 section 10.5): a request for each object, so that each has an answer of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError, SSLError

from streams import keepalive
from streams.store_scu import WRITTEN_BYTES_PER_S_MIN, Lost, NoAssociation, NotTaken
from streams.stored_file import PREAMBLE, file_meta

_JSON: Final = "application/dicom+json"
_CONNECT_S_MAX: Final = 10.0
# A receiver that answers from a store and a log may take its time; of one whose machine died TCP says so before.
_RESPONSE_S_MAX: Final = 120.0
_OPTIONS: Final = [*HTTPConnection.default_socket_options, *keepalive.OPTIONS]
# Each piece is to be taken within _CONNECT_S_MAX: that is a time for the whole body, where it is sent in one.
_PIECE_BYTES: Final = 1 << 20
_SUCCESS, _TRY_AGAIN = 0x0000, 0xA700
_FAILURE_REASON, _FAILED, _REFERENCED, _OTHER_FAILURES = "00081197", "00081198", "00081199", "0008119A"


@dataclass(frozen=True)
class Studies:
    """The resource that objects are posted to: http(s)://…/studies, or a study below it."""

    url: str

    def __str__(self) -> str:
        return self.url

    def open(self, calling_ae: str, contexts: Sequence[tuple[str, str]]) -> StowScu:
        """HTTP knows neither AE titles nor presentation contexts."""
        return StowScu(self.url)


class StowScu:
    """One connection, kept open. Used from one thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        # What is tried again is for `radstream.sending` to say.
        self._http = urllib3.PoolManager(maxsize=1, retries=False, socket_options=_OPTIONS)

    def store(self, sop_class: str, sop_instance: str, transfer_syntax: str, data_set: bytes) -> int:
        """Sends one object in a file header of our own; the status that C-STORE would have.

        Raises NoAssociation, NotTaken, Lost.
        """
        boundary = secrets.token_hex(16)
        parts = (
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(),
            PREAMBLE,
            file_meta(sop_class, sop_instance, transfer_syntax),
            data_set,
            f"\r\n--{boundary}--\r\n".encode(),
        )
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(sum(map(len, parts))),
            "Accept": _JSON,
        }
        read_s = _RESPONSE_S_MAX + len(data_set) / WRITTEN_BYTES_PER_S_MIN
        timeout = urllib3.Timeout(connect=_CONNECT_S_MAX, read=read_s)
        try:
            response = self._http.request("POST", self._url, body=_pieces(parts), headers=headers, timeout=timeout)
        except NewConnectionError:
            raise NoAssociation("nothing listens there, or the host name is not known") from None
        except (ConnectTimeoutError, SSLError, LocationValueError) as error:
            raise NoAssociation(f"the connection cannot be made ({type(error).__name__})") from None
        except HTTPError:
            raise Lost from None
        return _status(response.status, response.data)

    def close(self) -> None:
        self._http.clear()

    def abort(self) -> None:
        self._http.clear()


def _pieces(parts: Sequence[bytes]) -> Iterator[bytes]:
    """Nothing of a large object is in memory twice."""
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _PIECE_BYTES):
            yield bytes(view[start : start + _PIECE_BYTES])


def _status(http: int, body: bytes) -> int:
    """What the answer says of the one object in it. Raises NotTaken where it says nothing of any."""
    found = _answered(body)
    if found is not None:
        return found
    if http == 503:
        return _TRY_AGAIN
    raise NotTaken(f"HTTP {http}, and not a word of the object")


def _answered(body: bytes) -> int | None:
    """By the DICOM JSON model (PS3.18 annexes F and I)."""
    try:
        said: dict[str, Any] = msgspec.json.decode(body, type=dict)
        for tag in (_FAILED, _OTHER_FAILURES):
            for item in said.get(tag, {}).get("Value", []):
                return int(item[_FAILURE_REASON]["Value"][0])
        return _SUCCESS if said[_REFERENCED]["Value"] else None
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError):
        return None
