"""The configuration file of a command that asks a catalog; log and store are nowhere."""

from __future__ import annotations

import json

from tests.event_streams import TENANT


def catalog_config(dsn: str) -> str:
    return f"""
[site]
tenant = "{TENANT}"
site = "north"
[kafka]
bootstrap = "127.0.0.1:1"
[store]
endpoint = "http://127.0.0.1:1"
buckets = {{hot = "hot"}}
[protected]
key_file = "keys"
[catalog]
http_port = 1
dsn = {json.dumps(dsn)}
"""
