"""The catalog: the log as tables in PostgreSQL, for people and programs that ask about studies.

Flows in: every topic of truth but retries and dead letters; protected blocks, decrypted. Flows out: rows.
Touches: its own PostgreSQL schema, which nobody else writes; reads blocks from the object store.
"""
