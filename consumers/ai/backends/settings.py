"""What can be set of the backends: section [ai.backends]. None of it changes what comes out beyond rounding."""

from __future__ import annotations

from streams.config import Section


class Backends(Section, frozen=True, kw_only=True):
    """`triton` is the gRPC address (host:port) of a Triton server; empty leaves the deployments on it out.

    `threads` is for one model in this process. A request that takes longer than `timeout_s` has failed.
    """

    triton: str = ""
    timeout_s: float = 30.0
    threads: int = 1
