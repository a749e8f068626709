"""A reader by HTTP that believes nothing: an answer is whole and what was sent, or an error that a person can read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.parser import BytesParser

import urllib3

from tests.readers.tally import ANSWER_S_MAX, Cut, Refused, Wrong

# What is answered while a part is away, frozen, or has damaged bytes. Anything else is an answer to another question.
_EXPECTED = (502, 503)
_SENTENCE_MAX, _BODY_MAX = 120, 300


@dataclass(frozen=True)
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    data: bytes

    def parts(self) -> list[tuple[str, bytes]]:
        """Content type and bytes of each part. Raises Wrong for a payload without its end."""
        kind = self.headers["content-type"]
        boundary = kind.rpartition("boundary=")[2].encode()
        if not kind.startswith("multipart/related") or not self.data.endswith(b"--" + boundary + b"--\r\n"):
            raise Wrong(f"{kind}: no whole multipart/related")
        found = []
        for piece in self.data.split(b"--" + boundary)[1:-1]:
            head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            said, data = BytesParser().parsebytes(head, headersonly=True), body.removesuffix(b"\r\n")
            if int(said["content-length"]) != len(data):
                raise Wrong("a part of another length than it says")
            found.append((str(said["content-type"]), data))
        return found


class Http:
    """One thread's connection, used again as browsers do."""

    def __init__(self, root: str) -> None:
        self._root = root
        timeout = urllib3.Timeout(connect=10.0, read=ANSWER_S_MAX)
        self._pool = urllib3.PoolManager(maxsize=1, retries=False, timeout=timeout)

    def get(self, path: str, accept: str = "*/*", **headers: str) -> Answer:
        """An answer with something in it. Raises Refused, Cut, Wrong."""
        said = {"accept": accept, **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            # By its length, or its last chunk: what is cut raises.
            came = self._pool.request("GET", self._root + path, headers=said)
        except urllib3.exceptions.HTTPError as error:
            raise Cut(type(error).__name__) from None
        answer = Answer(came.status, came.headers, came.data)
        if answer.status not in (200, 204, 206, 304):
            raise _refusal(answer)
        return answer

    def broken_off(self, path: str, accept: str, size: int) -> None:
        """Reads some of an answer, and goes. Raises as `get` does."""
        try:
            came = self._pool.request("GET", self._root + path, headers={"accept": accept}, preload_content=False)
            data = came.read(size)
        except urllib3.exceptions.HTTPError as error:
            raise Cut(type(error).__name__) from None
        came.close()
        if came.status != 200:
            raise _refusal(Answer(came.status, came.headers, data))

    def close(self) -> None:
        self._pool.clear()


def _refusal(answer: Answer) -> Exception:
    """Short, of this one shape, and in words that say which part it is."""
    try:
        said = json.loads(answer.data)
        title = said["title"]
    except (ValueError, KeyError):
        return Wrong(f"{answer.status} without a problem: {answer.data[:80]!r}")
    is_readable = answer.headers.get("content-type") == "application/problem+json" and said["status"] == answer.status
    if not is_readable or len(title) > _SENTENCE_MAX or len(answer.data) > _BODY_MAX:
        return Wrong(f"{answer.status} in another shape: {answer.data[:80]!r}")
    if answer.status not in _EXPECTED:
        return Wrong(f"{answer.status} {title}")
    if answer.status == 503 and not answer.headers.get("retry-after", "").isdecimal():
        return Wrong(f"503 without Retry-After: {title}")
    return Refused(f"{answer.status} {title}")
