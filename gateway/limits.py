"""What one request, and one client, may take: counted and refused before anything is read for it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config import Settings
from gateway.counting import room_of
from gateway.memory import Memory, Share
from gateway.problem import Problem, response
from gateway.same_origin import embedded
from streams.networks import Network, address_of, is_in, networks_of

_AGAIN_S = "1"
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_CLIENTS_MAX = 1024


def _is_of(client: str, networks: tuple[Network, ...]) -> bool:
    try:
        return is_in(address_of(client), networks)
    except ValueError:
        # What a proxy handed on of somebody who calls himself something.
        return False


class Limits:
    """ASGI middleware, in front of everything. Used in one event loop."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._by_client: Counter[str] = Counter()
        addresses = networks_of(settings.addresses)
        self._may_ask = lru_cache(_CLIENTS_MAX)(lambda client: _is_of(client, addresses))
        self._memory = Memory(settings.memory_bytes_max, settings.memory_wait_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        if (refused := self._refusal(scope, client)) is not None:
            await response(refused)(scope, receive, send)
            return
        self._by_client[client] += 1
        share = scope.setdefault("state", {})["memory"] = Share(self._memory, client)
        try:
            await self._app(scope, self._bounded(receive, self._body_bytes_max(scope)), send)
        finally:
            share.close()
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    def _refusal(self, scope: Scope, client: str) -> Problem | None:
        settings = self._settings
        if not client or not self._may_ask(client):
            return Problem(403, "Nothing is shown to this address; [gateway] addresses names those that may ask.")
        if _host(scope) not in settings.hosts:
            return Problem(421, "It is not asked by this name; [gateway] hosts has those that it answers to.")
        if (foreign := embedded(scope)) is not None:
            return foreign
        if len(scope["raw_path"]) + len(scope["query_string"]) > settings.target_bytes_max:
            return Problem(414, f"The request's path and query are longer than {settings.target_bytes_max} bytes.")
        if _announced(scope) > (most := self._body_bytes_max(scope)):
            return _too_large(most)
        if self._by_client[client] >= settings.requests_per_client_max:
            return Problem(429, "This address has too many requests under way.", {"retry-after": _AGAIN_S})
        if self._by_client.total() >= settings.requests_max:
            return Problem(503, "Too many requests are under way.", {"retry-after": _AGAIN_S})
        return None

    def _body_bytes_max(self, scope: Scope) -> int:
        """What is stored is handed on as it comes, and never here as a whole; a form is."""
        is_stored = room_of(scope["path"], scope["method"]) == "store"
        return self._settings.stow_bytes_max if is_stored else self._settings.body_bytes_max

    def _bounded(self, receive: Receive, bytes_max: int) -> Receive:
        """The body as it comes, and an end to it, in bytes and in time."""
        taken, is_read = 0, False

        async def bounded() -> Message:
            nonlocal taken, is_read
            try:
                # Behind the body it is waited for a client that goes.
                message = await (receive() if is_read else asyncio.wait_for(receive(), self._settings.idle_timeout_s))
            except TimeoutError:
                raise Problem(408, "The rest of the request did not come.", {"connection": "close"}) from None
            is_read = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > bytes_max:
                raise _too_large(bytes_max)
            return message

        return bounded


def _too_large(bytes_max: int) -> Problem:
    return Problem(413, f"The request's body is larger than {bytes_max} bytes.")


def _announced(scope: Scope) -> int:
    """The body's length where it is said; the parser has seen to it that it is a number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _host(scope: Scope) -> str:
    """Without its port: browsers are led to this machine by other names too (DNS rebinding), and send those.

    Empty where it is none (RFC 9110 section 7.2): it becomes part of the addresses in answers.
    """
    said = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    found = _AUTHORITY.fullmatch(said[0]) if len(said) == 1 else None
    return found[1] if found is not None else ""
