"""The embedded local stack: real parts without a container engine, all on loopback.

Flows in: a home folder, and the tools that `bootstrap.py` installed. Flows out: a running broker, registry, object
store, database and every service, and `radstream.toml`, which tells everybody where they are. Touches: its home
folder, the tools folder of this user, processes that it started itself.
"""
