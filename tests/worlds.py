"""The context of a service in a world of memory: a log, a store, and a clock that a test may set."""

from __future__ import annotations

import threading

from streams.clock import Clock
from streams.config import Site
from streams.health import Health
from streams.log import Log
from streams.objects import ObjectStore
from streams.service import Context
from streams.wire import SchemaIds


def context_of(name: str, tenant: str, log: Log, store: ObjectStore, clock: Clock) -> Context:
    """Without a configuration: who is tested this way is given its settings."""
    return Context(
        name=name,
        config=None,
        site=Site(tenant=tenant, site="north"),
        log=log,
        store=store,
        ids=SchemaIds(),
        clock=clock,
        stopping=threading.Event(),
        health=Health(clock),
    )
